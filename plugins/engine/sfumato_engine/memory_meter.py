"""The most memory that a phase of work takes, measured on each kind of device."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import torch

from sfumato.machine import process_memory
from sfumato_engine.counting_allocator import CountingAllocator

POLLING = 0.01
"""Seconds between two looks where a device does not keep its peak itself."""

_PROCESS = Path("/proc/self")


class MemoryMeter(Protocol):
    """Bytes that this process holds on one device."""

    def start_phase(self) -> None:
        """Let the peak count anew, from what is held now."""

    def peak(self) -> int:
        """The most that was held at once since the phase began."""

    def current(self) -> int:
        """What is held now."""

    def close(self) -> None:
        """End what watches; the meter is not asked afterwards."""


def meter_for(device: str, allocator: CountingAllocator | None = None) -> MemoryMeter:
    """What measures that device.

    Args:
        device: As torch names it.
        allocator: Of a simulated device, which is measured instead.
    """
    if allocator is not None:
        return SimulatedMeter(allocator)
    kind = torch.device(device).type
    if kind in ("cuda", "xpu"):  # ROCm goes by the name of CUDA
        return GpuMeter(getattr(torch, kind), torch.device(device))
    if kind == "mps":
        return PolledMeter(torch.mps.current_allocated_memory)
    if ProcessMeter.can_measure():
        return ProcessMeter()
    return PolledMeter(lambda: process_memory().resident)


class SimulatedMeter:
    """Of a device that counts."""

    def __init__(self, allocator: CountingAllocator) -> None:
        self._allocator = allocator

    def start_phase(self) -> None:
        self._allocator.reset_peak()

    def peak(self) -> int:
        return self._allocator.peak

    def current(self) -> int:
        return self._allocator.current

    def close(self) -> None:
        pass


class GpuMeter:
    """Of CUDA, ROCm and XPU, whose allocator keeps its peak.

    Args:
        module: `torch.cuda` or `torch.xpu`, which tell the same under the same names.
    """

    def __init__(self, module: Any, device: torch.device) -> None:
        self._module = module
        self._device = device

    def start_phase(self) -> None:
        self._module.reset_peak_memory_stats(self._device)

    def peak(self) -> int:
        return int(self._module.max_memory_allocated(self._device))

    def current(self) -> int:
        return int(self._module.memory_allocated(self._device))

    def close(self) -> None:
        pass


class ProcessMeter:
    """Main memory of this process on Linux, which keeps the peak itself and lets it count anew.

    Only anonymous memory counts: pages of mapped files, such as those of weights as they are stored, can be
    taken back at any time. Linux keeps the peak of both together, and what is mapped now is left out of it:
    where files were read after the peak of a phase, that was a little more than what is told.
    """

    @staticmethod
    def can_measure() -> bool:
        try:
            _forget_resident_peak()
        except OSError:  # another system, or a container that does not permit it
            return False
        return True

    def start_phase(self) -> None:
        _forget_resident_peak()

    def peak(self) -> int:
        told = _status()
        return max(told["RssAnon"], told["VmHWM"] - told["RssFile"] - told["RssShmem"])

    def current(self) -> int:
        return _status()["RssAnon"]

    def close(self) -> None:
        pass


class PolledMeter:
    """Of anything that tells what is held now, asked many times a second; a short peak may be missed.

    Args:
        read: Bytes held now; called from a thread of the meter's own.
    """

    def __init__(self, read: Callable[[], int]) -> None:
        self._read = read
        self._peak = read()
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._watch, name="memory meter", daemon=True)
        self._thread.start()

    def start_phase(self) -> None:
        with self._lock:
            self._peak = self._read()

    def peak(self) -> int:
        with self._lock:
            self._peak = max(self._peak, self._read())
            return self._peak

    def current(self) -> int:
        return self._read()

    def close(self) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(POLLING):
            with suppress(OSError, RuntimeError):  # one look that fails is no reason to end the watch
                self.peak()


def _forget_resident_peak() -> None:
    (_PROCESS / "clear_refs").write_text("5")


def _status() -> dict[str, int]:
    """Linux's figures about this process that are sizes, in bytes."""
    lines = (line.split() for line in (_PROCESS / "status").read_text().splitlines())
    return {words[0].rstrip(":"): int(words[1]) * 1024 for words in lines if words[-1] == "kB"}
