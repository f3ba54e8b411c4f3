"""Rows and what clients see of them: transactions, reading jobs, keeping events."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, func, insert, select, update

from sfumato.database import Database
from sfumato.errors import UnknownName
from sfumato.jobs.records import ENDED, Job, JobEvent, JobState
from sfumato.jobs.tables import EVENTS, IMAGES, JOBS, METADATA, PREVIEWS
from sfumato.records import ImageRecord

_SHOWN = [
    column for column in JOBS.c if column.name not in ("key", "position", "output_folder", "place", "worker")
]
AT_ONCE = 500
"""Values in one comparison with a list; databases limit them."""


class Store:
    """The tables of jobs in one database."""

    def __init__(self, database: Database) -> None:
        self.database = database
        database.create(METADATA)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction; those of other threads and processes come before or after it, never between."""
        with self.database.writing() as connection:
            self.database.take_turn(connection)
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with self.database.reading() as connection:
            yield connection


def moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def row_of(connection: Connection, job: str) -> Row[Any]:
    """Every column of a job. Raises `UnknownName` when there is no such job."""
    row = connection.execute(select(JOBS).where(JOBS.c.id == job)).one_or_none()
    if row is None:
        raise UnknownName("job", job, (), hint="'sfumato jobs' lists them.")
    return row


def find_jobs(connection: Connection, query: Select[Any] | None = None) -> list[Job]:
    """The jobs that a query selects, which is made from `all_jobs`, with their pictures."""
    rows = connection.execute(all_jobs() if query is None else query).all()
    images = _images_of(connection, [row.id for row in rows])
    return [_job(row, images.get(row.id, ())) for row in rows]


def find_in_order(connection: Connection, ids: Sequence[str]) -> list[Job]:
    """The jobs of those ids, in their order; those that are gone are left out."""
    found = {
        job.id: job
        for some in in_parts(ids)
        for job in find_jobs(connection, all_jobs().where(JOBS.c.id.in_(some)))
    }
    return [found[job] for job in ids if job in found]


def says(word: str) -> ColumnElement[bool]:
    """Whether a job's label or prompt holds a word, in any case."""
    prompt = func.coalesce(JOBS.c.request["prompt"].as_string(), "")
    return JOBS.c.label.icontains(word, autoescape=True) | prompt.icontains(word, autoescape=True)


def find_job(connection: Connection, job: str) -> Job:
    """Raises `UnknownName` when there is no such job."""
    found = find_jobs(connection, all_jobs().where(JOBS.c.id == job))
    if not found:
        raise UnknownName("job", job, (), hint="'sfumato jobs' lists them.")
    return found[0]


def all_jobs() -> Select[Any]:
    return select(*_SHOWN)


def _images_of(connection: Connection, jobs: Sequence[str]) -> dict[str, list[ImageRecord]]:
    found: dict[str, list[ImageRecord]] = {}
    for some in in_parts(jobs):
        query = select(IMAGES.c.job, IMAGES.c.record).where(IMAGES.c.job.in_(some), IMAGES.c.saved)
        for job, record in connection.execute(query.order_by(IMAGES.c.number)):
            found.setdefault(job, []).append(ImageRecord.model_validate(record))
    return found


def in_parts(values: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(values), AT_ONCE):
        yield values[start : start + AT_ONCE]


def _job(row: Row[Any], images: Iterable[ImageRecord]) -> Job:
    return Job(
        id=row.id,
        number=row.number,
        kind=row.kind,
        label=row.label,
        user=row.owner,
        state=row.state,
        lane=row.lane,
        priority=row.priority,
        request=row.request,
        result=row.result,
        problem=row.problem,
        progress=row.progress,
        warnings=row.warnings or (),
        images=tuple(images),
        attempt=row.attempt,
        created=datetime.fromtimestamp(row.created, UTC),
        started=moment(row.started),
        ended=moment(row.ended),
    )


def keep_event(connection: Connection, job: Any, kind: str, data: Mapping[str, Any]) -> None:
    """Add an event of a job, given as its row or anything else with its `id` and `owner`."""
    keep_events(connection, job.id, job.owner, [(time.time(), kind, data)])


def keep_events(
    connection: Connection, job: str, owner: str, events: Iterable[tuple[float, str, Mapping[str, Any]]]
) -> None:
    """Add events of a job, each as its moment, kind and data."""
    rows = [{"job": job, "owner": owner, "at": at, "kind": kind, "data": data} for at, kind, data in events]
    if rows:
        connection.execute(insert(EVENTS), rows)


def change(connection: Connection, row: Row[Any], *, why: str = "", **values: Any) -> None:
    """Write columns of a job, and tell of it by an event with the new state, priority and place."""
    connection.execute(update(JOBS).where(JOBS.c.number == row.number).values(**values))
    told = {
        name: values.get(name, getattr(row, name)) for name in ("state", "priority", "position", "attempt")
    }
    if values.get("problem"):
        told["problem"] = values["problem"]
    if why:
        told["why"] = why
    keep_event(connection, row, "job_changed", told)


def end(connection: Connection, row: Row[Any], state: JobState, **values: Any) -> None:
    """Close a job: it is over, whatever it was, and its preview is let go."""
    change(connection, row, state=state, ended=time.time(), control="", worker="", **values)
    connection.execute(update(PREVIEWS).where(PREVIEWS.c.job == row.id).values(pictures=b""))


def is_over(row: Row[Any]) -> bool:
    return row.state in ENDED


def last_seq(connection: Connection) -> int:
    return int(connection.execute(select(func.coalesce(func.max(EVENTS.c.seq), 0))).scalar_one())


def find_events(
    connection: Connection, after: int, job: str | None, limit: int, until: int | None = None
) -> list[JobEvent]:
    query = select(EVENTS).where(EVENTS.c.seq > after)
    if until is not None:
        query = query.where(EVENTS.c.seq <= until)
    if job is not None:
        query = query.where(EVENTS.c.job == job)
    rows = connection.execute(query.order_by(EVENTS.c.seq).limit(limit)).all()
    return [
        JobEvent(
            seq=row.seq,
            job=row.job,
            user=row.owner,
            at=datetime.fromtimestamp(row.at, UTC),
            kind=row.kind,
            data=row.data,
        )
        for row in rows
    ]
