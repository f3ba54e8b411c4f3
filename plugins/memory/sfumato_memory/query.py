"""The query 'memory_records': what requests took, for the page System and for programs."""

from __future__ import annotations

from pydantic import BaseModel, Field

from sfumato.database import Database
from sfumato.queries import QueryContext
from sfumato.request.schema import Schema
from sfumato_memory.records import MemoryRecord, MemoryRecords

_KEY = "memory.records"


class MemoryRecordsRequest(Schema):
    """Which records."""

    since: float = Field(default=0.0, ge=0, description="Seconds since 1970.")
    fingerprint: str = Field(default="", max_length=64, description="How it begins.")
    device: str = Field(default="", max_length=200, description="How its name begins.")
    most: int = Field(default=500, ge=1, le=5000, description="How many, the newest.")


class MemoryRecordsAnswer(BaseModel):
    """Records, oldest first."""

    items: tuple[MemoryRecord, ...] = ()


def memory_records(request: MemoryRecordsRequest, context: QueryContext) -> MemoryRecordsAnswer:
    """Fulfils `sfumato.queries.Query`."""
    records = context.workspace.get(_KEY)
    if records is None:
        records = context.workspace.setdefault(_KEY, MemoryRecords(Database.of(context.settings)))
    return MemoryRecordsAnswer(items=tuple(records.find(**request.model_dump())))
