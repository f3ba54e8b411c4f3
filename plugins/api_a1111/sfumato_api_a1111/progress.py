"""How far work is, as ``/progress`` tells it: clients ask many times a second, so answers are kept as bytes.

An answer is made anew when the running job has changed, and its preview is encoded once.
"""

from __future__ import annotations

import base64
import itertools
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from sfumato.jobs import Job, JobProgress
from sfumato.jobs.records import LOCAL_USER

if TYPE_CHECKING:
    from sfumato_api_a1111.state import Api

Headers = list[tuple[str, str]]
_TRUE = ("true", "1", "yes", "on")
_LEAST = 0.01
"""What A1111 begins with."""


@dataclass(frozen=True)
class Answer:
    """One answer as it is sent."""

    content: bytes
    tag: str


@dataclass
class _Kept:
    """What was answered to one user last.

    Attributes:
        job: The job as it was then; another object means that something changed.
        flags: Whether it was interrupted or skipped, and whether previews are shown.
        last: The state that an idle server keeps telling, of the job `last_job`.
    """

    job: Job | None = None
    flags: tuple[bool, bool, bool] = (False, False, False)
    answers: dict[bool, Answer] = field(default_factory=dict)
    last: dict[str, Any] = field(default_factory=dict)
    last_job: str = ""
    picture: tuple[str, int] = ("", 0)
    encoded: bytes = b""


class ProgressAnswers:
    """The answers of one application."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._lock = threading.Lock()
        self._kept: dict[str, _Kept] = {}
        self._start = secrets.token_hex(4)
        self._numbers = itertools.count(1)

    def changed(self) -> None:
        """Make the next answers anew."""
        with self._lock:
            for kept in self._kept.values():
                kept.answers.clear()

    def answer(self, user: str, *, with_picture: bool) -> Answer:
        """The answer to a user, who sees no other user's work."""
        job = running_job(self._api, user)
        flags = self._flags(job)
        with self._lock:
            kept = self._kept.setdefault(user, _Kept())
            if kept.job is not job or kept.flags != flags:
                kept.job, kept.flags = job, flags
                kept.answers.clear()
            found = kept.answers.get(with_picture)
            if found is None:
                found = kept.answers[with_picture] = self._made(kept, with_picture)
            return found

    def wsgi(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes] | None:
        """The answer without Flask; None for a method that the route does not have."""
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return None
        query = environ.get("QUERY_STRING", "")
        answer = self.answer(environ.get("sfumato.user") or LOCAL_USER, with_picture=not _skips(query))
        if environ.get("HTTP_IF_NONE_MATCH") == answer.tag:
            start_response("304 Not Modified", [("ETag", answer.tag)])
            return [b""]
        start_response(
            "200 OK",
            [
                ("Content-Type", "application/json"),
                ("Content-Length", str(len(answer.content))),
                ("ETag", answer.tag),
                ("Cache-Control", "no-cache"),
            ],
        )
        return [b"" if environ["REQUEST_METHOD"] == "HEAD" else answer.content]

    def _flags(self, job: Job | None) -> tuple[bool, bool, bool]:
        identity = job.id if job else ""
        shown = bool(job and self._api.options.value("live_previews_enable"))
        return (
            bool(job) and self._api.interrupted == identity,
            bool(job) and self._api.skipped == identity,
            shown,
        )

    def _made(self, kept: _Kept, with_picture: bool) -> Answer:
        interrupted, skipped, shown = kept.flags
        if kept.job is None:
            was_interrupted = kept.last_job != "" and kept.last_job == self._api.interrupted
            body = idle({**kept.last, "interrupted": was_interrupted})
        else:
            body = busy(kept.job, interrupted=interrupted, skipped=skipped)
            kept.last, kept.last_job = body["state"], kept.job.id
        picture = self._picture(kept) if with_picture and shown else b""
        head = json.dumps({**body, "current_image": None}).encode()
        if picture:
            head = head.replace(b'"current_image": null', b'"current_image": "' + picture + b'"', 1)
        return Answer(head, f'"{self._start}-{next(self._numbers)}"')

    def _picture(self, kept: _Kept) -> bytes:
        """The newest preview in base64; encoded when it is a new one."""
        job = kept.job
        number = job.progress.preview if job and job.progress else 0
        if job is None or not number:
            return b""
        if kept.picture != (job.id, number):
            preview = self._api.studio.jobs.preview(job.id)
            if preview is None or not preview.pictures:
                return b""
            kept.picture, kept.encoded = (job.id, number), base64.b64encode(preview.pictures[0])
        return kept.encoded


def _skips(query: str) -> bool:
    if not query:
        return False
    return parse_qs(query).get("skip_current_image", ["false"])[-1].lower() in _TRUE


def running_job(api: Api, user: str) -> Job | None:
    """The user's job that is being worked on, as A1111 knows but one."""
    return next((job for job in api.studio.jobs.running() if job.user == user and job.lane == "device"), None)


def busy(job: Job, *, interrupted: bool = False, skipped: bool = False) -> dict[str, Any]:
    """The answer while a job runs, without its picture."""
    progress = job.progress or JobProgress()
    share = min(max(progress.fraction, _LEAST), 1.0)
    began = (job.started or job.created).timestamp()
    elapsed = max(time.time() - began, 0.0)
    left = progress.seconds_left
    return {
        "progress": share,
        "eta_relative": elapsed / share - elapsed if left is None else left,
        "state": {
            "skipped": skipped,
            "interrupted": interrupted,
            "stopping_generation": interrupted,
            "job": _job_name(job, progress),
            "job_count": max(progress.batches, 1),
            "job_timestamp": (job.started or job.created).strftime("%Y%m%d%H%M%S"),
            "job_no": progress.batch,
            "sampling_step": progress.step,
            "sampling_steps": progress.steps,
        },
        "textinfo": progress.phase or None,
    }


def idle(last: dict[str, Any]) -> dict[str, Any]:
    """The answer while nothing runs: some of the last job's figures stay, as in A1111."""
    kept = {
        "skipped": False,
        "interrupted": False,
        "stopping_generation": False,
        "job_timestamp": "0",
        "job_no": 0,
        "sampling_step": 0,
        "sampling_steps": 0,
        **last,
    }
    state = {**kept, "job": "", "job_count": 0, "skipped": False, "stopping_generation": False}
    return {"progress": 0.0, "eta_relative": 0.0, "state": state, "textinfo": None}


def _job_name(job: Job, progress: JobProgress) -> str:
    if job.kind == "upscale":
        return "extras"
    if job.kind not in ("generate", "grid"):
        return job.kind
    if progress.batches > 1:
        return f"Batch {progress.batch + 1} out of {progress.batches}"
    base = job.request.get("base", job.request)
    return "scripts_img2img" if base.get("img2img") else "scripts_txt2img"
