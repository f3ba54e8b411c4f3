"""Main memory: of the machine or the container, and of this process; the one place that asks the system."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
"""Where Linux states the limits of a container, which `psutil` does not know."""


@dataclass(frozen=True)
class MachineMemory:
    """Bytes of main memory."""

    available: int
    total: int


@dataclass(frozen=True)
class ProcessMemory:
    """Bytes of main memory of this process.

    Attributes:
        resident: All of it.
        mapped: Of that, pages of files; 0 where the system does not tell.
    """

    resident: int
    mapped: int


def process_memory() -> ProcessMemory:
    """What this process holds now."""
    import psutil  # type: ignore[import-untyped]  # takes long to import

    told = psutil.Process().memory_info()
    return ProcessMemory(told.rss, getattr(told, "shared", 0))


def machine_memory() -> MachineMemory:
    """The machine's memory or the container's, whichever is less."""
    import psutil

    machine = psutil.virtual_memory()
    container = container_memory()
    if container is None:
        return MachineMemory(machine.available, machine.total)
    return MachineMemory(min(machine.available, container.available), min(machine.total, container.total))


def container_memory(folder: Path = CGROUP) -> MachineMemory | None:
    """The limit of the container that we run in; None without one."""
    try:
        limit, used, statistics = (
            (folder / name).read_text() for name in ("memory.max", "memory.current", "memory.stat")
        )
    except OSError:
        return None
    if not limit.strip().isdigit():
        return None
    counters = dict(line.split() for line in statistics.splitlines())
    # What files left in the cache can be taken back.
    in_use = int(used) - int(counters.get("inactive_file", 0))
    return MachineMemory(int(limit) - in_use, int(limit))
