"""The query 'plan': what a request comes to, before anything is drawn.

Of other kinds of work than 'generate' their plugins tell, by queries named ``plan_<kind>`` that give the same
answer.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

from sfumato.errors import BadInput, SfumatoError
from sfumato.queries import Query, QueryContext
from sfumato.request import GenerationRequest
from sfumato.request.schema import Schema, checked, load_model
from sfumato.tasks import TaskContext
from sfumato_engine.resolution import ResolvedRequest, resolve


class PlanRequest(Schema):
    """Work of which kind, and how it would be asked for."""

    kind: str = "generate"
    request: dict[str, Any] = Field(default_factory=dict, description="Fields of its request.")


class WorkPlan(BaseModel):
    """What work comes to."""

    images: int = 0
    steps: int = Field(default=0, description="Of samplers, over all passes and batches.")
    pixel_steps: int = Field(
        default=0, description="Pixels times steps over all pictures: what the time goes with."
    )
    width: int = Field(default=0, description="Of the finished pictures; 0 where they differ.")
    height: int = 0
    model: str = ""
    problems: tuple[str, ...] = ()


def plan(request: PlanRequest, context: QueryContext) -> WorkPlan:
    """Problems of the request are told in the plan; raises `BadInput` for work that nobody plans."""
    if request.kind != "generate":
        return _of_another_kind(request, context)
    try:
        return generation_plan(checked(GenerationRequest, request.request), context)
    except SfumatoError as error:
        return WorkPlan(problems=(str(error),))


def generation_plan(request: GenerationRequest, context: QueryContext) -> WorkPlan:
    """Raises `BadInput` for what cannot be drawn."""
    resolved = resolve(request, _task_context(context))
    passes = [(_steps(one), *one.size) for one in _drawn(resolved)]
    pictures = request.image_total
    return WorkPlan(
        images=pictures,
        steps=sum(steps for steps, _, _ in passes) * request.count,
        pixel_steps=sum(steps * width * height for steps, width, height in passes) * pictures,
        width=passes[-1][1],
        height=passes[-1][2],
        model=resolved.info.name,
    )


def _drawn(resolved: ResolvedRequest) -> list[ResolvedRequest]:
    """The passes that sample; a refiner takes over steps of another one and adds none."""
    return [resolved, resolved.hires] if resolved.hires else [resolved]


def _steps(one: ResolvedRequest) -> int:
    return one.denoising.run(one.steps) if one.denoising else one.steps


def _task_context(context: QueryContext) -> TaskContext:
    """Nothing is written by who decides what a request means."""
    return TaskContext(context.registries, context.library, context.settings, Path())


def _of_another_kind(request: PlanRequest, context: QueryContext) -> WorkPlan:
    name = f"plan_{request.kind}"
    if name not in context.registries.queries:
        raise BadInput(
            f"Nobody can tell what '{request.kind}' comes to.", hint="It can be done all the same."
        )
    entry = context.registries.queries.get(name)
    try:
        asked = checked(load_model(entry.info.request), request.request)
        answer: Query = entry.load()
        with entry.answerable("tell what work comes to"):
            return WorkPlan.model_validate(answer(asked, context).model_dump())
    except SfumatoError as error:
        return WorkPlan(problems=(str(error),))
