"""Memory over time: samples of the working processes in the studio's database, for charts."""

from __future__ import annotations

import threading
import time
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sfumato.memory import MemorySnapshot

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Table

    from sfumato.database import Database

DAY = 86400.0
KEPT = 7 * DAY
"""Seconds that samples are kept."""
KEPT_WHOLE = DAY
"""Seconds after which one sample a minute is enough."""
MINUTE = 60.0
BETWEEN_CLEARINGS = 3600.0


class MemoryLog:
    """Samples of memory; safe to use from many threads and processes at once.

    Args:
        database: Where they are kept, in the table "memory_samples".
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._cleared = 0.0

    @cached_property
    def _table(self) -> Table:
        from sqlalchemy import Column, Float, Integer, MetaData, Table, Text

        table = Table(
            "memory_samples",
            MetaData(),
            Column("id", Integer, primary_key=True, autoincrement=True),
            Column("at", Float, nullable=False, index=True),
            Column("process_id", Integer, nullable=False),
            Column("used", Float, nullable=False),
            Column("sample", Text, nullable=False),
        )
        self._database.create(table.metadata)
        return table

    def add(self, snapshot: MemorySnapshot) -> None:
        """Keep a sample; old ones are cleared away now and then."""
        from sqlalchemy import insert

        row = {
            "at": snapshot.at,
            "process_id": snapshot.process_id,
            "used": float(used(snapshot)),
            "sample": snapshot.model_dump_json(exclude_defaults=True),
        }
        table = self._table
        with self._database.writing() as connection:
            connection.execute(insert(table), row)
        if self._is_due():
            self.clear(snapshot.at)

    def since(self, since: float, until: float | None = None, most: int = 500) -> list[MemorySnapshot]:
        """Samples from `since` to `until` (now), oldest first, in seconds since 1970.

        Where there are more than `most`, that span is divided evenly, and of each process the sample that
        used most stands for a part of it: peaks stay.
        """
        from sqlalchemy import func, select

        table = self._table
        within = table.c.at.between(since, time.time() + DAY if until is None else until)
        with self._database.reading() as connection:
            bounds = select(func.count(), func.min(table.c.at), func.max(table.c.at)).where(within)
            count, first, last = connection.execute(bounds).one()
            chosen = select(table.c.sample).where(within)
            if count > most:
                part = _whole((table.c.at - first) / max((last - first) / max(most - 2, 1), 1e-6))
                place = func.row_number().over(
                    partition_by=(part, table.c.process_id), order_by=(table.c.used.desc(), table.c.at)
                )
                ranked = select(table.c.id, place.label("place")).where(within).subquery()
                chosen = select(table.c.sample).join(ranked, ranked.c.id == table.c.id)
                chosen = chosen.where(ranked.c.place == 1)
            rows = connection.execute(chosen.order_by(table.c.at, table.c.id)).scalars().all()
        return [MemorySnapshot.model_validate_json(row) for row in rows]

    def clear(self, now: float) -> None:
        """Drop what is older than `KEPT`; of what is older than `KEPT_WHOLE`, keep one sample a minute."""
        from sqlalchemy import delete, func, select

        table = self._table
        old = table.c.at < now - KEPT_WHOLE
        minute = _whole(table.c.at / MINUTE)
        kept = select(func.max(table.c.id)).where(old).group_by(table.c.process_id, minute)
        with self._database.writing() as connection:
            connection.execute(delete(table).where(table.c.at < now - KEPT))
            connection.execute(delete(table).where(old, table.c.id.not_in(kept)))

    def _is_due(self) -> bool:
        with self._lock:
            if time.monotonic() - self._cleared < BETWEEN_CLEARINGS and self._cleared:
                return False
            self._cleared = time.monotonic()
            return True


def used(snapshot: MemorySnapshot) -> int:
    """Bytes in main memory and on devices together."""
    return snapshot.process + sum(device.reserved or device.allocated for device in snapshot.devices)


def _whole(value: ColumnElement[Any]) -> ColumnElement[Any]:
    from sqlalchemy import Integer, cast, func

    return cast(func.round(value - 0.5), Integer)
