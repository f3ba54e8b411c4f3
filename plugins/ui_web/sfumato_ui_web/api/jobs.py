"""/jobs: work put into the queue, looked at, reordered, ended and forgotten."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

from flask import request
from pydantic import Field

from sfumato.errors import UnknownName
from sfumato.jobs.queue import Submission
from sfumato.jobs.records import Job, JobState
from sfumato.studio import Studio
from sfumato.tasks import Lane
from sfumato_ui_web.api.cursors import ListQuery, listing, read_number
from sfumato_ui_web.api.endpoints import Answer, Message, Refusal, endpoint
from sfumato_ui_web.api.job_answers import JobAnswer, JobList, JobView
from sfumato_ui_web.api.owners import current_user, owner
from sfumato_ui_web.path_rules import PathRules

TAGS = ("Jobs",)
MOST_AT_ONCE = 1000
HIGHEST_PRIORITY = 1000
KEY_HEADER = "Idempotency-Key"
LANE = "Only of this lane: 'background' is work that makes no pictures, such as indexing."


class Work(Message):
    """What is to be done."""

    kind: str = Field(max_length=100, description="A kind of work: see /tasks.", examples=["generate"])
    request: dict[str, Any] = Field(description="Its request: see /schemas/{kind}.")
    label: str = Field(default="", max_length=1000, description="A line for people.")
    priority: int = Field(
        default=0, ge=-HIGHEST_PRIORITY, le=HIGHEST_PRIORITY, description="Higher goes first."
    )
    key: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="Of two jobs with one key the second is not made: the first comes back. "
        f"The header {KEY_HEADER} does the same.",
    )


class Batch(Message):
    """Jobs that are queued all or none."""

    jobs: tuple[Work, ...] = Field(min_length=1, max_length=MOST_AT_ONCE)


class JobQuery(ListQuery):
    """Which jobs are listed."""

    state: tuple[JobState, ...] = Field(default=(), description="Only of these states.")
    kind: str | None = Field(default=None, description="Only of this kind of work.")
    user: str | None = Field(default=None, description="Only of this user.")
    lane: Lane | None = Field(default=None, description=LANE)
    q: str = Field(default="", max_length=200, description="Words of its label or prompt.")


class WaitingQuery(Message):
    """Which of the jobs that wait are listed."""

    lane: Lane | None = Field(default=None, description=LANE)
    limit: int | None = Field(default=None, ge=0, description="Only so many, the next ones.")


class WaitingList(JobList):
    """The queue in the order of its turns."""

    total: int = Field(description="How many wait, listed or not.")


class Move(Message):
    """Where a job goes in the queue."""

    before: str | None = Field(default=None, description="The job it is put before; at the end without one.")


class Priority(Message):
    """How urgent a job is."""

    priority: int = Field(ge=-HIGHEST_PRIORITY, le=HIGHEST_PRIORITY)


class Which(Message):
    """Which jobs are cancelled."""

    states: tuple[Literal["queued", "running"], ...] = Field(default=("queued",), min_length=1)
    lane: Lane | None = Field(default=None, description=LANE)


class Count(Answer):
    """How many jobs were told to stop."""

    cancelled: int


EXAMPLE = {
    "A picture": {"kind": "generate", "request": {"prompt": "a red apple", "seed": 7}},
    "Four times the size": {
        "kind": "upscale",
        "request": {"images": ["upload:0123456789abcdef0123456789abcdef"]},
    },
}


class Jobs:
    """The queue."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._rules = PathRules(studio)
        self._view = JobView(studio)

    @endpoint(
        "POST",
        "/jobs",
        body=Work,
        answer=JobAnswer,
        status=201,
        also=(200,),
        errors=(403,),
        headers=(KEY_HEADER,),
        summary="Queue a job",
        tags=TAGS,
        examples=EXAMPLE,
    )
    def submit(self, body: Work) -> tuple[dict[str, Any], int]:
        """Answers 201 with the new job, or 200 with the one that the key was used for before."""
        asked = datetime.now(UTC)
        job = self._submit([body])[0]
        return self._view.one(job), 201 if job.created >= asked else 200

    @endpoint(
        "POST",
        "/jobs/batch",
        body=Batch,
        answer=JobList,
        status=201,
        errors=(403,),
        summary="Queue many jobs",
        tags=TAGS,
    )
    def batch(self, body: Batch) -> dict[str, Any]:
        """All of them or none, in their order."""
        return listing(self._view.many(self._submit(list(body.jobs))))

    @endpoint("GET", "/jobs", query=JobQuery, answer=JobList, summary="List jobs", tags=TAGS)
    def listed(self, query: JobQuery) -> dict[str, Any]:
        """The newest first."""
        user = owner() or query.user
        if query.user not in (None, user):
            return listing([])
        jobs = self._studio.jobs.list(
            states=query.state,
            kind=query.kind,
            user=user,
            lane=query.lane,
            text=query.q.replace("\0", ""),
            before=read_number(query.cursor),
            limit=query.limit + 1,
        )
        shown = jobs[: query.limit]
        return listing(self._view.many(shown), shown[-1].number if len(jobs) > query.limit else None)

    @endpoint(
        "GET",
        "/jobs/waiting",
        query=WaitingQuery,
        answer=WaitingList,
        summary="Jobs in the order of their turn",
        tags=TAGS,
    )
    def waiting(self, query: WaitingQuery) -> dict[str, Any]:
        """Queued jobs, the next one first."""
        whose: dict[str, Any] = {"user": owner(), "lane": query.lane}
        total = self._studio.jobs.count_waiting(**whose)
        jobs = self._studio.jobs.waiting(**whose, limit=query.limit) if query.limit != 0 else []
        return {**listing(self._view.many(jobs)), "total": total}

    @endpoint("GET", "/jobs/<job>", answer=JobAnswer, summary="One job", tags=TAGS)
    def get(self, job: str) -> dict[str, Any]:
        return self._view.one(self._own(job))

    @endpoint("DELETE", "/jobs/<job>", status=204, conflict=409, summary="Forget a job", tags=TAGS)
    def remove(self, job: str) -> None:
        """Only one that is over; its pictures stay."""
        self._studio.jobs.remove(self._own(job).id)

    @endpoint("POST", "/jobs/<job>/cancel", answer=JobAnswer, summary="Cancel a job", tags=TAGS)
    def cancel(self, job: str) -> dict[str, Any]:
        """A queued job at once, a running one between its steps; one that is over stays as it is."""
        return self._view.one(self._studio.jobs.cancel(self._own(job).id))

    @endpoint("POST", "/jobs/<job>/interrupt", answer=JobAnswer, summary="End a job early", tags=TAGS)
    def interrupt(self, job: str) -> dict[str, Any]:
        """What is being drawn is taken as it is, and no further batch begins."""
        return self._end_early(job, "interrupt")

    @endpoint("POST", "/jobs/<job>/skip", answer=JobAnswer, summary="Skip the rest of a batch", tags=TAGS)
    def skip(self, job: str) -> dict[str, Any]:
        """What is being drawn is taken as it is, and the next batch begins."""
        return self._end_early(job, "skip")

    @endpoint(
        "POST", "/jobs/<job>/retry", answer=JobAnswer, conflict=409, summary="Queue a job again", tags=TAGS
    )
    def retry(self, job: str) -> dict[str, Any]:
        """One that failed, was cancelled or interrupted; what it saved is kept."""
        return self._view.one(self._studio.jobs.retry(self._own(job).id))

    @endpoint(
        "POST",
        "/jobs/<job>/move",
        body=Move,
        answer=JobAnswer,
        conflict=409,
        summary="Put a job elsewhere in the queue",
        tags=TAGS,
    )
    def move(self, job: str, body: Move) -> dict[str, Any]:
        """Before another of the same user, whose priority it takes, or at the end."""
        own = self._own(job).id
        before = None if body.before is None else self._own(body.before).id
        return self._view.one(self._studio.jobs.move(own, before=before))

    @endpoint(
        "POST",
        "/jobs/<job>/priority",
        body=Priority,
        answer=JobAnswer,
        conflict=409,
        summary="Set a priority",
        tags=TAGS,
    )
    def priority(self, job: str, body: Priority) -> dict[str, Any]:
        return self._view.one(self._studio.jobs.set_priority(self._own(job).id, body.priority))

    @endpoint("POST", "/jobs/cancel", body=Which, answer=Count, summary="Cancel many jobs", tags=TAGS)
    def cancel_all(self, body: Which) -> Count:
        """All of one's own that wait; those that run too, where that is asked for."""
        count = self._studio.jobs.cancel_all(states=body.states, user=owner(), lane=body.lane)
        return Count(cancelled=count)

    def _own(self, job: str) -> Job:
        return own_job(self._studio, job)

    def _end_early(self, job: str, how: Literal["skip", "interrupt"]) -> dict[str, Any]:
        own = self._own(job).id
        self._studio.jobs.end_early(own, how)
        return self._view.one(self._studio.jobs.get(own))

    def _submit(self, works: list[Work]) -> list[Job]:
        header = request.headers.get(KEY_HEADER)
        if header is not None and not 0 < len(header) <= 200:
            raise Refusal(422, f"The header {KEY_HEADER} is too long.", why="200 characters are taken.")
        submissions = [self._submission(work, header if len(works) == 1 else None) for work in works]
        return self._studio.jobs.submit_all(submissions)

    def _submission(self, work: Work, header: str | None) -> Submission:
        return Submission(
            kind=work.kind,
            request=self._rules.checked_request(work.kind, work.request),
            user=current_user(),
            label=work.label.replace("\0", ""),
            priority=work.priority,
            key=work.key or header,
        )


def own_job(studio: Studio, job: str) -> Job:
    """The job of that id, if the one who asks may see it; raises `UnknownName`."""
    found = studio.jobs.get(job)
    if not _is_seen(found):
        raise UnknownName("job", job, ())
    return found


def _is_seen(job: Job) -> bool:
    return owner() in (None, job.user)
