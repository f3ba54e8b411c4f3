"""/jobs/estimate: what work comes to, before it is queued."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from sfumato.errors import SfumatoError
from sfumato.jobs.records import Job, JobState
from sfumato.studio import Studio
from sfumato_ui_web.api.endpoints import Answer, Message, endpoint
from sfumato_ui_web.api.jobs import MOST_AT_ONCE, TAGS
from sfumato_ui_web.path_rules import PathRules, Place

LOOKED_AT = 30
"""Finished jobs of the same kind that tell how long work takes."""
DONE: tuple[JobState, ...] = ("done",)
_KEPT = 500
_FIRST_EVENTS = 20
"""Of a job: among them is the end of loading a model."""
_NO_MATTER = ("prompt", "negative_prompt", "seed", "variation_seed")
"""Fields of a generation that change nothing about how much work it is."""


class Asked(Message):
    """Work that is thought of."""

    kind: str = Field(max_length=100)
    request: dict[str, Any]
    label: str = Field(default="", description="As for /jobs; without effect here.")
    priority: int = Field(default=0, description="As for /jobs; without effect here.")
    key: str | None = Field(default=None, description="As for /jobs; without effect here.")


class EstimateBody(Message):
    """One piece of work, or many."""

    kind: str | None = Field(default=None, max_length=100)
    request: dict[str, Any] = Field(default_factory=dict)
    jobs: tuple[Asked, ...] = Field(default=(), max_length=MOST_AT_ONCE)


class Estimate(Answer):
    """What work comes to."""

    images: int = Field(description="Pictures.")
    steps: int = Field(description="Sampling steps over all passes and batches.")
    seconds: float | None = Field(
        description="By how long such work took before; null where none was done, or a part is unknown."
    )
    problems: tuple[str, ...] = Field(description="Why some of it could not be done, in words.")


@dataclass(frozen=True)
class Cost:
    """What one request comes to. `work` is what the time goes with: pixels times steps, or pictures."""

    kind: str
    model: str = ""
    pixels: int = 0
    images: int = 0
    steps: int = 0
    work: float = 0.0
    problems: tuple[str, ...] = ()


class Estimates:
    """Guesses from the history of the queue."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._rules = PathRules(studio)
        self._lock = threading.Lock()
        self._past: dict[str, tuple[Cost, float]] = {}

    @endpoint(
        "POST",
        "/jobs/estimate",
        body=EstimateBody,
        answer=Estimate,
        errors=(403,),
        summary="What work comes to",
        tags=TAGS,
        examples={"A picture": {"kind": "generate", "request": {"prompt": "a red apple", "count": 4}}},
    )
    def estimate(self, body: EstimateBody) -> Estimate:
        """Nothing is queued. Give `kind` and `request` for one, or `jobs` for many."""
        asked: list[tuple[str, dict[str, Any], Place]] = [
            (work.kind, work.request, ("jobs", index)) for index, work in enumerate(body.jobs)
        ]
        if body.kind is not None:
            asked.append((body.kind, body.request, ()))
        planned: dict[str, Cost] = {}
        costs = []
        for kind, request, place in asked:
            found = self._rules.found(kind, request, (*place, "request"))
            like = _work_of(kind, found)
            if like not in planned:
                planned[like] = self._cost(kind, found)
            costs.append(planned[like])
        rates: dict[str, list[tuple[Cost, float]]] = {}
        for cost in costs:
            if cost.kind not in rates:
                rates[cost.kind] = self._history(cost.kind)
        seconds = [_seconds(cost, rates[cost.kind]) for cost in costs]
        known = [each for each in seconds if each is not None]
        return Estimate(
            images=sum(cost.images for cost in costs),
            steps=sum(cost.steps for cost in costs),
            seconds=round(sum(known), 2) if known and len(known) == len(seconds) else None,
            problems=tuple(dict.fromkeys(problem for cost in costs for problem in cost.problems)),
        )

    def _cost(self, kind: str, request: dict[str, Any]) -> Cost:
        """What a request comes to, as far as its plugin tells."""
        if "plan" in self._studio.registries.queries:
            try:
                plan = self._studio.ask("plan", kind=kind, request=request).model_dump()
                return Cost(
                    kind,
                    model=plan["model"],
                    pixels=plan["width"] * plan["height"],
                    images=plan["images"],
                    steps=plan["steps"],
                    work=plan["pixel_steps"] or plan["images"],
                    problems=tuple(plan["problems"]),
                )
            except SfumatoError:  # work that nobody plans
                pass
        images = request.get("images")
        count = len(images) if isinstance(images, (list, tuple)) else 0
        return Cost(kind, images=count, work=count)

    def _history(self, kind: str) -> list[tuple[Cost, float]]:
        """Finished jobs of a kind: what they came to, and the seconds they took."""
        done = self._studio.jobs.list(states=DONE, kind=kind, limit=LOOKED_AT)
        return [self._past_cost(job) for job in done if job.attempt == 1 and job.started and job.ended]

    def _past_cost(self, job: Job) -> tuple[Cost, float]:
        with self._lock:
            known = self._past.get(job.id)
        if known is not None:
            return known
        cost = self._cost(job.kind, job.request), self._taken(job)
        with self._lock:
            if len(self._past) >= _KEPT:
                self._past.clear()
            self._past[job.id] = cost
        return cost

    def _taken(self, job: Job) -> float:
        """Seconds of a job that is over, without those that went to loading: the next one need not."""
        assert job.started is not None
        assert job.ended is not None
        events = self._studio.jobs.events(job=job.id, limit=_FIRST_EVENTS)
        phases = (event for event in events if event.kind == "phase_started")
        working = next((event.at for event in phases if event.data.get("phase") != "loading"), job.started)
        return max((job.ended - max(working, job.started)).total_seconds(), 0.0)


def _work_of(kind: str, request: dict[str, Any]) -> str:
    """The same for requests that are as much work."""
    if kind == "generate":
        request = {
            name: type(value).__name__ if name in _NO_MATTER else value for name, value in request.items()
        }
    return json.dumps([kind, request], sort_keys=True, default=str)


def _seconds(cost: Cost, history: Iterable[tuple[Cost, float]]) -> float | None:
    """By the median of like work: of the same model and size, or else of the same model."""
    of_model = [(past, taken) for past, taken in history if past.model == cost.model and past.work]
    of_size = [(past, taken) for past, taken in of_model if past.pixels == cost.pixels]
    import statistics

    rates = [taken / past.work for past, taken in of_size or of_model]
    return statistics.median(rates) * cost.work if rates and cost.work else None
