"""What each phase of a request took, beside what was foretold."""

from __future__ import annotations

import time
from dataclasses import dataclass

from sfumato.events import PhaseMemory
from sfumato_engine.memory_meter import MemoryMeter


@dataclass
class _Measured:
    predicted: int = 0
    peak: int = 0
    seconds: float = 0.0


class Telemetry:
    """Measures one phase after another; one that comes again adds its time, and the higher peak counts.

    Args:
        meter: Of the device that the work is done on.
    """

    def __init__(self, meter: MemoryMeter) -> None:
        self._meter = meter
        self._phases: dict[str, _Measured] = {}
        self._current: _Measured | None = None
        self._is_placed = False
        self._began = 0.0

    def begin(self, phase: str) -> None:
        """A phase begins, and the one before ends."""
        self.end()
        self._current = self._phases.setdefault(phase, _Measured())
        self._meter.start_phase()
        self._is_placed = False
        self._began = time.monotonic()

    def held(self) -> int:
        """Bytes that this process holds on the device now."""
        return self._meter.current()

    def foretell(self, peak: int) -> None:
        """What the phase is expected to take at its peak."""
        if self._current is not None:
            self._current.predicted = max(self._current.predicted, peak)

    def placed(self) -> None:
        """Weights have come and gone for the phase: what left does not belong to its peak."""
        if not self._is_placed:
            self._meter.start_phase()
            self._is_placed = True

    def end(self) -> None:
        """The phase has ended."""
        if self._current is not None:
            self._current.peak = max(self._current.peak, self._meter.peak())
            self._current.seconds += time.monotonic() - self._began
            self._current = None

    def phases(self) -> tuple[PhaseMemory, ...]:
        """All phases so far, in the order of their first beginnings."""
        return tuple(
            PhaseMemory(phase=name, predicted=one.predicted, peak=one.peak, seconds=round(one.seconds, 4))
            for name, one in self._phases.items()
        )

    @property
    def peak(self) -> int:
        """The highest of all phases so far, in bytes; any thread may ask."""
        peaks = [one.peak for one in list(self._phases.values())]
        return max([*peaks, self._meter.peak()]) if self._current is not None else max(peaks, default=0)

    def close(self) -> None:
        """Nothing is measured any more."""
        self.end()
        self._meter.close()
