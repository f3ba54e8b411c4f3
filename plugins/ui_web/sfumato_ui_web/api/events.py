"""Events of jobs: as a list, as Server-Sent Events, and over a WebSocket.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

from flask import Response, current_app, request
from pydantic import Field

from sfumato.jobs.records import JobEvent
from sfumato.studio import Studio
from sfumato_ui_web.api.cursors import ListQuery, listing, read_number
from sfumato_ui_web.api.endpoints import Answer, Message, Refusal, endpoint
from sfumato_ui_web.api.jobs import own_job
from sfumato_ui_web.api.owners import owner

TAGS = ("Events",)
STREAM = "text/event-stream"
HEARTBEAT = 15.0
RETRY = 2000
"""Milliseconds after which a browser connects again."""
_LOOK_AGAIN = 1.0
"""Seconds between looks at whether the server ends."""
_FURTHEST = 2**63 - 1
MEDIA = {STREAM: {"type": "string"}}


class EventQuery(Message):
    """From where events are wanted."""

    after: int | None = Field(
        default=None, ge=0, le=_FURTHEST, description="The `seq` of the last one that was seen."
    )


class JobEventQuery(EventQuery, ListQuery):
    """Which events of a job are listed."""

    limit: int = Field(default=200, ge=1, le=1000, description="Events a page.")


class EventList(Answer):
    """A page of events, in their order."""

    items: tuple[JobEvent, ...]
    next: str | None = None


class Events:
    """What happens to jobs."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    @endpoint(
        "GET",
        "/events",
        query=EventQuery,
        media=MEDIA,
        headers=("Last-Event-ID",),
        summary="Follow all jobs",
        tags=TAGS,
    )
    def all(self, query: EventQuery) -> Response:
        """Server-Sent Events: `id` is the event's seq, `event` its kind, `data` the event as JSON. They begin
        after the header Last-Event-ID or `after`, without which only new ones come."""
        return stream(self._studio, _last_seen(query.after))

    @endpoint(
        "GET",
        "/jobs/<job>/events",
        query=JobEventQuery,
        answer=EventList,
        media=MEDIA,
        headers=("Last-Event-ID",),
        summary="Events of a job",
        tags=TAGS,
    )
    def of_job(self, job: str, query: JobEventQuery) -> Response | dict[str, Any]:
        """A list; with the header `Accept: text/event-stream` a stream of those that there are and those to
        come, which ends when the job is over."""
        own = own_job(self._studio, job)
        seen = _last_seen(query.after)
        if wants_stream():
            return stream(self._studio, seen or 0, own.id)
        after = read_number(query.cursor) if query.cursor else seen
        found = self._studio.jobs.events(after=after or 0, job=own.id, limit=query.limit + 1)
        shown = found[: query.limit]
        more = shown[-1].seq if len(found) > query.limit else None
        return listing([event.model_dump(mode="json") for event in shown], more)


def wants_stream() -> bool:
    """Whether the one who asks prefers a stream to a list."""
    best = request.accept_mimetypes.best_match(["application/json", STREAM])
    return best == STREAM


def stream(studio: Studio, after: int | None, job: str | None = None) -> Response:
    """Events as they happen, as Server-Sent Events."""
    core = current_app.extensions.get("sfumato")
    stopping = getattr(core, "stopping", None)
    return Response(
        _lines(studio, after, job, owner(), stopping),
        mimetype=STREAM,
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


def seen_by(
    studio: Studio, user: str | None, after: int | None, job: str | None = None
) -> Iterator[JobEvent | None]:
    """Events of that user's jobs (None: of all), None now and then when nothing happens."""
    with closing(studio.jobs.follow(after=after, job=job, heartbeat=_LOOK_AGAIN)) as events:  # type: ignore[type-var]
        for event in events:
            if event is None or user in (None, event.user):
                yield event


def _lines(
    studio: Studio, after: int | None, job: str | None, user: str | None, stopping: Any
) -> Iterator[bytes]:
    yield f"retry: {RETRY}\n\n".encode()
    silent = 0.0
    with closing(seen_by(studio, user, after, job)) as events:  # type: ignore[type-var]
        for event in events:
            if stopping is not None and stopping.is_set():
                return
            if event is not None:
                silent = 0.0
                yield written(event)
                continue
            silent += _LOOK_AGAIN
            if silent >= HEARTBEAT:
                silent = 0.0
                yield b": still here\n\n"


def written(event: JobEvent) -> bytes:
    """One event of a stream; its JSON is on one line."""
    return f"id: {event.seq}\nevent: {event.kind}\ndata: {event.model_dump_json()}\n\n".encode()


def _last_seen(after: int | None) -> int | None:
    """The header wins: a browser that connects again sends it with the address it had at first."""
    header = request.headers.get("Last-Event-ID", "").strip()
    if not header:
        return after
    if not (header.isascii() and header.isdigit() and int(header) <= _FURTHEST):
        raise Refusal(422, "The header Last-Event-ID is no number of an event.")
    return int(header)
