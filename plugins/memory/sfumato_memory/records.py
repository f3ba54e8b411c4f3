"""Records of work in the studio's database: what each request took, for reports and comparisons."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from sqlalchemy import (
    Boolean,
    Column,
    Float,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    delete,
    func,
    insert,
    select,
)
from sqlalchemy.engine import Row

from sfumato.database import Database
from sfumato.events import PhaseMemory

KEPT = 365 * 86400.0
"""Seconds that records are kept."""
MOST_OF_EACH = 500
"""Newest records that are kept of one request on one device."""
BETWEEN_CLEARINGS = 50
"""Records from one clearing to the next."""

_TABLES = MetaData()
_RECORDS = Table(
    "memory_records",
    _TABLES,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", Float, nullable=False, index=True),
    Column("fingerprint", String(64), nullable=False, index=True),
    Column("description", Text, nullable=False),
    Column("task", String(100), nullable=False),
    Column("device", String(200), nullable=False),
    Column("versions", Text, nullable=False),
    Column("plan", Text, nullable=False),
    Column("phases", Text, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("retried", Boolean, nullable=False),
    info={"version": 1},
)
_VERSIONS = TypeAdapter(dict[str, str])
_PHASES = TypeAdapter(tuple[PhaseMemory, ...])


class MemoryRecord(BaseModel):
    """What one piece of work took."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    id: int = Field(default=0, description="Given by the database.")
    at: float = Field(description="When it was done, in seconds since 1970.")
    fingerprint: str = Field(description="Equal for requests that need the same memory and time.")
    description: str = ""
    task: str = ""
    device: str
    versions: dict[str, str] = Field(default_factory=dict, description="Of Sfumato and what computes for it.")
    plan: str = Field(default="", description="How the weights were placed.")
    phases: tuple[PhaseMemory, ...] = ()
    seconds: float = 0.0
    retried: bool = False

    @property
    def peak(self) -> int:
        """The highest peak of all phases, in bytes."""
        return max((phase.peak for phase in self.phases), default=0)


class MemoryRecords:
    """The table of records; safe to use from many threads and processes at once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.create(_TABLES)

    def add(self, record: MemoryRecord) -> int:
        """Keep a record, and now and then clear old ones away. Returns its id."""
        values = record.model_dump(exclude={"id", "versions", "phases"})
        values["versions"] = _VERSIONS.dump_json(record.versions).decode()
        values["phases"] = _PHASES.dump_json(record.phases).decode()
        with self._database.writing() as connection:
            made = connection.execute(insert(_RECORDS), values).inserted_primary_key
        number = int(made[0]) if made else 0
        if number % BETWEEN_CLEARINGS == 0:
            self.clear(record.at)
        return number

    def find(
        self,
        *,
        since: float = 0.0,
        fingerprint: str = "",
        device: str = "",
        most: int | None = None,
    ) -> list[MemoryRecord]:
        """Records, oldest first.

        Args:
            since: Seconds since 1970.
            fingerprint: How it begins; empty for all.
            device: How it begins; empty for all.
            most: The newest so many; None for all.
        """
        chosen = select(_RECORDS).where(
            _RECORDS.c.at >= since,
            _RECORDS.c.fingerprint.startswith(fingerprint, autoescape=True),
            _RECORDS.c.device.startswith(device, autoescape=True),
        )
        newest = chosen.order_by(_RECORDS.c.at.desc(), _RECORDS.c.id.desc()).limit(most)
        with self._database.reading() as connection:
            return [_record(row) for row in reversed(connection.execute(newest).all())]

    def get(self, number: int) -> MemoryRecord | None:
        """The record with this id."""
        with self._database.reading() as connection:
            row = connection.execute(select(_RECORDS).where(_RECORDS.c.id == number)).one_or_none()
        return None if row is None else _record(row)

    def clear(self, now: float) -> None:
        """Drop what is older than `KEPT`, and of one request on one device all but `MOST_OF_EACH`."""
        place = func.row_number().over(
            partition_by=(_RECORDS.c.fingerprint, _RECORDS.c.device),
            order_by=(_RECORDS.c.at.desc(), _RECORDS.c.id.desc()),
        )
        ranked = select(_RECORDS.c.id, place.label("place")).subquery()
        surplus = select(ranked.c.id).where(ranked.c.place > MOST_OF_EACH)
        with self._database.writing() as connection:
            connection.execute(delete(_RECORDS).where(_RECORDS.c.at < now - KEPT))
            connection.execute(delete(_RECORDS).where(_RECORDS.c.id.in_(surplus)))


def _record(row: Row[tuple[object, ...]]) -> MemoryRecord:
    values = dict(row._mapping)
    values["versions"] = _VERSIONS.validate_json(values["versions"])
    values["phases"] = _PHASES.validate_json(values["phases"])
    return MemoryRecord.model_validate(values)
