"""After a crash: what a worker process left behind is put in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, delete, select, update

from sfumato.jobs.records import JobProblem
from sfumato.jobs.store import change, end, keep_event
from sfumato.jobs.tables import IMAGES, JOBS


@dataclass(frozen=True)
class Cause:
    """Why work was cut short.

    Attributes:
        log: The last lines that the worker logged.
        counts: Whether the attempt is one of those that a job has; not so when the server was stopped.
    """

    why: str
    log: Sequence[str] = ()
    counts: bool = True


def orphans_of_place(connection: Connection, lane: str, place: str) -> list[Row[Any]]:
    """Running jobs that nobody works on; to be called by who holds the lane's lock."""
    query = select(JOBS).where(JOBS.c.state == "running", JOBS.c.lane == lane, JOBS.c.place == place)
    return list(connection.execute(query.order_by(JOBS.c.number)).all())


def orphans_of_worker(connection: Connection, worker: str) -> list[Row[Any]]:
    """What a worker process that is dead was at."""
    query = select(JOBS).where(JOBS.c.state == "running", JOBS.c.worker == worker)
    return list(connection.execute(query).all())


def recover(connection: Connection, row: Row[Any], cause: Cause, attempts: int) -> None:
    """Queue a job that was cut short again in its old place, or give it up after so many attempts."""
    settle_images(connection, row)
    if row.control == "cancel":
        end(connection, row, "cancelled")
    elif not cause.counts or row.attempt < attempts:
        attempt = row.attempt if cause.counts else max(0, row.attempt - 1)
        anew = {"control": "", "worker": "", "started": None, "progress": None}
        change(connection, row, why=cause.why, state="queued", attempt=attempt, **anew)
    else:
        problem = JobProblem(
            what=f"The work was cut short {row.attempt} times.",
            why=cause.why,
            hint="Look at the last lines of the worker's log; smaller pictures or another model may do.",
            log=tuple(cause.log),
        )
        end(connection, row, "interrupted", problem=problem.model_dump(mode="json"))


def settle_images(connection: Connection, row: Row[Any]) -> None:
    """Pictures that were about to appear when work ended are taken if they did, and forgotten if not."""
    unsure = select(IMAGES).where(IMAGES.c.job == row.id, ~IMAGES.c.saved)
    for image in connection.execute(unsure.order_by(IMAGES.c.number)).all():
        itself = IMAGES.c.number == image.number
        if Path(image.path).is_file():
            connection.execute(update(IMAGES).where(itself).values(saved=True))
            keep_event(connection, row, "image_saved", {"image": image.record})
        else:
            connection.execute(delete(IMAGES).where(itself))
