"""The listener that keeps a record of every piece of work that was measured."""

from __future__ import annotations

import time
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from sqlalchemy.exc import DatabaseError

from sfumato.database import explained
from sfumato.events import Event, WorkMeasured
from sfumato_memory.records import MemoryRecord, MemoryRecords

if TYPE_CHECKING:
    from sfumato.studio import Studio

COMPUTING = ("torch", "triton", "bitsandbytes", "sfumato-gguf-kernels", "diffusers")
"""Packages whose versions decide what work takes, where they are installed."""


def record(event: Event, studio: Studio) -> None:
    """Fulfils `sfumato.listeners.StudioListener`; raises `SfumatoError` where the database cannot be used."""
    if not isinstance(event, WorkMeasured):
        return
    told = event.model_dump(exclude={"kind"})
    made = MemoryRecord(at=time.time(), versions=versions(), **told)
    try:
        MemoryRecords(studio.database).add(made)
    except DatabaseError as error:
        raise explained(error, studio.database.url) from error


@lru_cache
def versions() -> dict[str, str]:
    """Of Sfumato and of what computes for it; told by installed metadata, so nothing is imported."""
    from sfumato import __version__

    found = {package: _version(package) for package in COMPUTING}
    return {"sfumato": __version__} | {package: text for package, text in found.items() if text}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
