"""What clients may do with jobs that are there; each function is one transaction's work."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, Row, delete, func, select, update

from sfumato.errors import BadInput
from sfumato.jobs.recovery import settle_images
from sfumato.jobs.store import change, end, in_parts, is_over, keep_event
from sfumato.jobs.tables import EVENTS, IMAGES, JOBS, PREVIEWS


def cancel(connection: Connection, row: Row[Any]) -> bool:
    """Whether it was not over yet."""
    if row.state == "queued":
        settle_images(connection, row)
        end(connection, row, "cancelled")
    elif row.state == "running":
        control(connection, row, "cancel")
    return not is_over(row)


def control(connection: Connection, row: Row[Any], what: str) -> None:
    """Tell the worker of a running job; nothing takes a wish to cancel back."""
    wish = update(JOBS).where(
        JOBS.c.number == row.number, JOBS.c.state == "running", JOBS.c.control != "cancel"
    )
    connection.execute(wish.values(control=what))


def cancel_all(
    connection: Connection, states: Collection[str], user: str | None, lane: str | None = None
) -> int:
    query = select(JOBS).where(JOBS.c.state.in_(states))
    for column, value in ((JOBS.c.owner, user), (JOBS.c.lane, lane)):
        if value is not None:
            query = query.where(column == value)
    return sum(cancel(connection, row) for row in connection.execute(query.order_by(JOBS.c.number)).all())


def retry(connection: Connection, row: Row[Any]) -> None:
    if not is_over(row) or row.state == "done":
        raise BadInput(
            f"Job {row.id} cannot be tried again.",
            why=f"It is {row.state}.",
            hint="Only jobs that failed, were cancelled or interrupted can.",
        )
    last = connection.execute(select(func.max(JOBS.c.position))).scalar_one()
    anew: dict[str, Any] = dict.fromkeys(("problem", "progress", "result", "started", "ended"))
    change(connection, row, state="queued", position=last + 1, attempt=0, **anew)


def move(connection: Connection, row: Row[Any], before: Row[Any] | None) -> None:
    """Put a queued job before another one of its user and lane, or at the end of its priority."""
    for one in (row, before):
        if one is not None:
            _must_be_queued(one)
    if before is not None and (before.owner, before.lane) != (row.owner, row.lane):
        raise BadInput(
            f"Job {row.id} cannot go before job {before.id}.",
            why="They are in lines of their own: each user has one, and so has work in the background.",
        )
    if before is not None and before.id == row.id:
        return
    priority = row.priority if before is None else before.priority
    line = [one for one in _line(connection, row, priority) if one.number != row.number]
    place = len(line)
    if before is not None:
        place = next(index for index, one in enumerate(line) if one.number == before.number)
    in_order = [*line[:place], row, *line[place:]]
    positions = sorted(one.position for one in in_order)
    for one, position in zip(in_order, positions, strict=True):
        if one.position != position or one.priority != priority:
            change(connection, one, position=position, priority=priority)


def _line(connection: Connection, row: Row[Any], priority: int) -> list[Row[Any]]:
    """The queued jobs of the same user and lane that have this priority, first one first."""
    query = select(JOBS).where(
        JOBS.c.state == "queued",
        JOBS.c.lane == row.lane,
        JOBS.c.owner == row.owner,
        JOBS.c.priority == priority,
    )
    return list(connection.execute(query.order_by(JOBS.c.position)).all())


def set_priority(connection: Connection, row: Row[Any], priority: int) -> None:
    if row.priority != priority:
        change(connection, row, priority=priority)


def remove(connection: Connection, row: Row[Any]) -> None:
    if not is_over(row):
        raise BadInput(
            f"Job {row.id} cannot be forgotten.", why=f"It is {row.state}.", hint="Cancel it first."
        )
    forget(connection, [row.id])
    keep_event(connection, row, "job_removed", {})


def forget(connection: Connection, jobs: list[str]) -> None:
    """Delete jobs with all that is kept of them."""
    for some in in_parts(jobs):
        for table in (EVENTS, IMAGES, PREVIEWS):
            connection.execute(delete(table).where(table.c.job.in_(some)))
        connection.execute(delete(JOBS).where(JOBS.c.id.in_(some)))


def forget_before(connection: Connection, moment: float) -> int:
    """Forget the jobs that were over at `moment`; tells how many."""
    old = list(connection.execute(select(JOBS.c.id).where(JOBS.c.ended < moment)).scalars())
    forget(connection, old)
    removed = ~select(JOBS.c.id).where(JOBS.c.id == EVENTS.c.job).exists()
    connection.execute(delete(EVENTS).where(EVENTS.c.at < moment, removed))
    return len(old)


def _must_be_queued(row: Row[Any]) -> None:
    if row.state != "queued":
        raise BadInput(f"Job {row.id} cannot be moved.", why=f"It is {row.state}, not queued.")
