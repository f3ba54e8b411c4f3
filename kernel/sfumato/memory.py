"""Memory figures: one data model, and one publisher in the process that works; everyone else subscribes."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import psutil  # type: ignore[import-untyped]
from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from sfumato.registries import Registries


class DeviceMemory(BaseModel):
    """The memory of one device, in bytes; 0 where it is not known."""

    model_config = ConfigDict(frozen=True)

    device: str = Field(description="As torch names it: 'cpu', 'cuda:0' ...")
    label: str = ""
    total: int = 0
    free: int = 0
    allocated: int = Field(default=0, description="In use by tensors of this process.")
    reserved: int = Field(default=0, description="Held by the allocator of this process.")
    peak: int = Field(default=0, description="Most that was allocated at once since the job began.")


class ModelMemory(BaseModel):
    """A model that is kept loaded."""

    model_config = ConfigDict(frozen=True)

    model: str
    device: str
    size: int = Field(description="Bytes of its weights.")


class MemoryFigures(BaseModel):
    """What a source of figures knows."""

    model_config = ConfigDict(frozen=True)

    devices: tuple[DeviceMemory, ...] = ()
    models: tuple[ModelMemory, ...] = ()


class MemorySnapshot(MemoryFigures):
    """Memory at one moment, in bytes."""

    at: float = Field(description="Seconds since 1970.")
    total: int = Field(description="Of the machine, or of the container where that is less.")
    available: int = Field(description="What new work could take.")
    process: int = Field(description="Resident memory of the process that works.")
    job: str = Field(default="", description="What it works on.")


class MemorySourceInfo(BaseModel):
    """A source of figures as registered."""

    model_config = ConfigDict(frozen=True)

    name: str
    label: str
    aliases: tuple[str, ...] = ()


class MemorySource(Protocol):
    """Reads figures; quick, and it imports nothing that the process has not imported yet.

    Args:
        workspace: What the backend keeps from task to task.
    """

    def __call__(self, workspace: Mapping[str, Any]) -> MemoryFigures: ...


def snapshot(registries: Registries, workspace: Mapping[str, Any], job: str = "") -> MemorySnapshot:
    """Memory now, as all sources tell it; one that fails is left out."""
    machine = psutil.virtual_memory()
    figures = list(_figures(registries, workspace))
    return MemorySnapshot(
        at=time.time(),
        total=machine.total,
        available=machine.available,
        process=psutil.Process().memory_info().rss,
        job=job,
        devices=tuple(device for one in figures for device in one.devices),
        models=tuple(model for one in figures for model in one.models),
    )


def _figures(registries: Registries, workspace: Mapping[str, Any]) -> Iterable[MemoryFigures]:
    for entry in registries.memory_sources:
        source: MemorySource = entry.load()
        yield source(workspace)
