"""A worker takes a job."""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy import Connection, Row

from sfumato.jobs.order import count_turn, next_in_turn
from sfumato.jobs.store import change, row_of


def claim(connection: Connection, lane: str, worker: str, place: str) -> Row[Any] | None:
    """The next job of the lane, which is this worker's from now on; None when none waits."""
    row = next_in_turn(connection, lane)
    if row is None:
        return None
    count_turn(connection, lane, row.owner)
    mine: dict[str, Any] = {"worker": worker, "place": place, "control": "", "warnings": []}
    change(connection, row, state="running", attempt=row.attempt + 1, started=time.time(), **mine)
    return row_of(connection, row.id)
