"""Several pictures in one column."""

from __future__ import annotations

import struct
from collections.abc import Iterable

from sqlalchemy import Connection, insert, select, update

from sfumato.jobs.records import Preview
from sfumato.jobs.tables import PREVIEWS

_LENGTH = struct.Struct("<I")


def packed(pictures: Iterable[bytes]) -> bytes:
    """Each picture behind its length, in four bytes."""
    return b"".join(_LENGTH.pack(len(picture)) + picture for picture in pictures)


def unpacked(data: bytes) -> tuple[bytes, ...]:
    """The pictures that `packed` put together."""
    pictures, place = [], 0
    while place < len(data):
        (length,) = _LENGTH.unpack_from(data, place)
        place += _LENGTH.size
        pictures.append(data[place : place + length])
        place += length
    return tuple(pictures)


def read(connection: Connection, job: str) -> Preview | None:
    row = connection.execute(select(PREVIEWS).where(PREVIEWS.c.job == job)).one_or_none()
    return Preview(row.number, unpacked(row.pictures)) if row is not None and row.pictures else None


def last_number(connection: Connection, job: str) -> int:
    """The number of the job's newest preview, of whatever attempt; 0 when there was none."""
    query = select(PREVIEWS.c.number).where(PREVIEWS.c.job == job)
    return connection.execute(query).scalar_one_or_none() or 0


def keep(connection: Connection, job: str, preview: Preview) -> None:
    values = {"number": preview.number, "pictures": packed(preview.pictures)}
    if not connection.execute(update(PREVIEWS).where(PREVIEWS.c.job == job).values(values)).rowcount:
        connection.execute(insert(PREVIEWS).values(job=job, **values))
