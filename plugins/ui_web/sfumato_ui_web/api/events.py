"""Events of jobs: as a list, as Server-Sent Events, and over a WebSocket.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
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
FURTHEST = 2**63 - 1
MEDIA = {STREAM: {"type": "string"}}


class EventQuery(Message):
    """From where events are wanted."""

    after: int | None = Field(
        default=None, ge=0, le=FURTHEST, description="The `seq` of the last one that was seen."
    )
    named: bool = Field(
        default=True,
        description="Whether a stream tells each event's kind as its name; a browser then hands it to nobody "
        "who does not listen to that very name.",
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
        return stream(self._studio, _last_seen(query.after), named=query.named)

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
            return stream(self._studio, seen or 0, own.id, named=query.named)
        after = read_number(query.cursor) if query.cursor else seen
        found = self._studio.jobs.events(after=after or 0, job=own.id, limit=query.limit + 1)
        shown = found[: query.limit]
        more = shown[-1].seq if len(found) > query.limit else None
        return listing([event.model_dump(mode="json") for event in shown], more)


def wants_stream() -> bool:
    """Whether the one who asks prefers a stream to a list."""
    best = request.accept_mimetypes.best_match(["application/json", STREAM])
    return best == STREAM


def stream(studio: Studio, after: int | None, job: str | None = None, *, named: bool = True) -> Response:
    """Events as they happen, as Server-Sent Events."""
    begin = studio.jobs.last_event() if after is None else after
    core = current_app.extensions.get("sfumato")
    stopping = getattr(core, "stopping", None)
    return Response(
        _lines(begin, seen_by(studio, owner(), begin, job), stopping, named=named),
        mimetype=STREAM,
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


def seen_by(
    studio: Studio, user: str | None, after: int | None, job: str | None = None
) -> Generator[JobEvent | None]:
    """Events of that user's jobs (None: of all); None every second or sooner when there are none."""
    following = studio.jobs.follow(after=after, job=job, heartbeat=_LOOK_AGAIN)
    try:
        for event in following:
            yield event if event is not None and user in (None, event.user) else None
    finally:
        close = getattr(following, "close", None)
        if close is not None:
            close()


def _lines(begin: int, events: Generator[JobEvent | None], stopping: Any, *, named: bool) -> Iterator[bytes]:
    """A stream's text: where it begins, its events, and comments in long silences, so that nobody cuts it."""
    with closing(events):
        yield f"retry: {RETRY}\nid: {begin}\n\n".encode()
        spoken = time.monotonic()
        for event in events:
            if stopping is not None and stopping.is_set():
                return
            if event is None and time.monotonic() - spoken < HEARTBEAT:
                continue
            spoken = time.monotonic()
            yield b": still here\n\n" if event is None else written(event, named=named)


def written(event: JobEvent, *, named: bool = True) -> bytes:
    """One event of a stream; its JSON is on one line."""
    name = f"event: {event.kind}\n" if named else ""
    return f"id: {event.seq}\n{name}data: {event.model_dump_json()}\n\n".encode()


def _last_seen(after: int | None) -> int | None:
    """The header wins: a browser that connects again sends it with the address it had at first."""
    header = request.headers.get("Last-Event-ID", "").strip()
    if not header:
        return after
    if not (header.isascii() and header.isdigit() and int(header) <= FURTHEST):
        raise Refusal(422, "The header Last-Event-ID is no number of an event.")
    return int(header)
