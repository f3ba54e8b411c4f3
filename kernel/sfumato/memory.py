"""Memory figures: one data model, and one publisher in the process that works; everyone else subscribes."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import BaseModel, ConfigDict, Field

from sfumato.machine import machine_memory, process_memory
from sfumato.watchdog import in_one_line

if TYPE_CHECKING:
    from sfumato.registries import Registries
    from sfumato.registry import Entry

log = logging.getLogger(__name__)

_FAILING = "memory.failing_sources"


class DeviceMemory(BaseModel):
    """The memory of one device, in bytes; 0 where it is not known."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    device: str = Field(description="As torch names it: 'cpu', 'cuda:0' ...")
    label: str = ""
    total: int = 0
    free: int = 0
    allocated: int = Field(default=0, description="In use by tensors of this process.")
    reserved: int = Field(default=0, description="Held by the allocator of this process.")
    peak: int = Field(
        default=0, description="Most that was allocated at once since the newest request began."
    )


class ModelMemory(BaseModel):
    """A model that is kept loaded, or the share of one of its parts that lies on one device."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    model: str
    device: str
    size: int = Field(description="Bytes of its weights, as they are stored.")
    part: str = Field(default="", description="Which of its parts; empty for the whole.")
    mapped: int = Field(default=0, description="Bytes of them in pages of files, which can be taken back.")


class MemoryFigures(BaseModel):
    """What a source of figures knows."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    devices: tuple[DeviceMemory, ...] = ()
    models: tuple[ModelMemory, ...] = ()
    peak: int = Field(
        default=0,
        description="Most main memory that the process held at once since the newest request began, pages of "
        "files apart; 0 where another device computes.",
    )


class MemorySnapshot(MemoryFigures):
    """Memory at one moment, in bytes."""

    at: float = Field(description="Seconds since 1970.")
    total: int = Field(description="Of the machine, or of the container where that is less.")
    available: int = Field(description="What new work could take.")
    process: int = Field(description="Resident memory of the process that works.")
    mapped: int = Field(
        default=0, description="Of that, pages of files: they can be taken back. Linux alone."
    )
    process_id: int = Field(default=0, description="Of that process.")
    job: str = Field(default="", description="What it works on.")


class MemorySourceInfo(BaseModel):
    """A source of figures as registered."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    name: str
    label: str
    aliases: tuple[str, ...] = ()


class MemorySource(Protocol):
    """Reads figures; quick, and it imports nothing that the process has not imported yet.

    Args:
        workspace: What the backend keeps from task to task.
    """

    def __call__(self, workspace: Mapping[str, Any]) -> MemoryFigures: ...


def snapshot(registries: Registries, workspace: MutableMapping[str, Any], job: str = "") -> MemorySnapshot:
    """Memory now, as all sources tell it; one that fails is left out, and logged the first time.

    Args:
        workspace: What the backend keeps from task to task; which sources fail is remembered there.
        job: What the process works on.
    """
    machine, process = machine_memory(), process_memory()
    figures = [one for entry in registries.memory_sources if (one := _figures(entry, workspace))]
    return MemorySnapshot(
        at=time.time(),
        total=machine.total,
        available=machine.available,
        process=process.resident,
        mapped=process.mapped,
        process_id=os.getpid(),
        job=job,
        peak=max((one.peak for one in figures), default=0),
        devices=tuple(device for one in figures for device in one.devices),
        models=tuple(model for one in figures for model in one.models),
    )


def _figures(entry: Entry[MemorySourceInfo], workspace: MutableMapping[str, Any]) -> MemoryFigures | None:
    try:
        source: MemorySource = entry.load()
        return MemoryFigures.model_validate(source(workspace))
    except Exception as error:  # a plugin's source may raise anything, and must not end the work it watches
        failing: set[str] = workspace.setdefault(_FAILING, set())
        if entry.info.name not in failing:
            failing.add(entry.info.name)
            log.warning("Memory figures of '%s' are left out: %s", entry.info.name, in_one_line(error))
        return None
