"""Records of the same request on the same device with the same versions, taken together."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from sfumato_memory.records import MemoryRecord

LONGEST_NAME = 60


class PhaseSummary(BaseModel):
    """One phase of a request; bytes, 0 where not known."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    phase: str
    peak: int = Field(default=0, ge=0, description="Median of the peaks.")
    highest: int = Field(default=0, ge=0, description="Highest of the peaks.")
    predicted: int = Field(default=0, ge=0, description="Median of what was foretold.")
    seconds: float = Field(default=0.0, description="Median.")

    @property
    def error(self) -> float | None:
        """How far what was foretold lay above the peak, as a share of it; None where either is not known."""
        return (self.predicted - self.peak) / self.peak if self.predicted and self.peak else None


class Summary(BaseModel):
    """What a request took on a device, with one set of versions."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    fingerprint: str
    description: str = ""
    device: str
    versions: dict[str, str] = Field(default_factory=dict)
    count: int = Field(default=1, description="Records.")
    first: float = Field(default=0.0, description="When the oldest was made, in seconds since 1970.")
    last: float = Field(default=0.0, description="When the newest was made.")
    seconds: float = Field(default=0.0, description="Median.")
    retried: int = Field(default=0, description="How often the memory ran out at first.")
    plan: str = Field(default="", description="Of the newest.")
    phases: tuple[PhaseSummary, ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        """Alike for what can be compared."""
        return self.fingerprint, self.device

    @property
    def name(self) -> str:
        """What it is, in one line that is not too long for a table."""
        return short_name(self.description or self.fingerprint)


def short_name(text: str) -> str:
    """In one line; of a long one the beginning and the end, where sizes stand."""
    line = " ".join(text.split())
    half = LONGEST_NAME // 2
    return line if len(line) <= LONGEST_NAME else f"{line[:half]}…{line[1 - half :]}"


class Report(BaseModel):
    """Summaries as they are written to a file, to compare with later."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    version: Literal[1] = Field(default=1, description="Of this form of reports.")
    made: float = Field(description="Seconds since 1970.")
    items: tuple[Summary, ...] = ()


def summaries(records: Sequence[MemoryRecord], *, by_version: bool = True) -> list[Summary]:
    """Those of the same kind together, in the order of their newest.

    Args:
        records: Oldest first.
        by_version: Whether other versions are another kind.
    """
    groups: dict[tuple[object, ...], list[MemoryRecord]] = {}
    for record in records:
        versions = tuple(sorted(record.versions.items())) if by_version else ()
        groups.setdefault((record.fingerprint, record.device, versions), []).append(record)
    found = [_summary(group) for group in groups.values()]
    return sorted(found, key=lambda one: one.last)


def _summary(records: Sequence[MemoryRecord]) -> Summary:
    newest = records[-1]
    return Summary(
        fingerprint=newest.fingerprint,
        description=newest.description,
        device=newest.device,
        versions=newest.versions,
        count=len(records),
        first=records[0].at,
        last=newest.at,
        seconds=round(median(record.seconds for record in records), 4),
        retried=sum(record.retried for record in records),
        plan=newest.plan,
        phases=tuple(_phases(records)),
    )


def _phases(records: Sequence[MemoryRecord]) -> list[PhaseSummary]:
    names = dict.fromkeys(phase.phase for record in records for phase in record.phases)
    found = []
    for name in names:
        all_of_it = [phase for record in records for phase in record.phases if phase.phase == name]
        peaks = [phase.peak for phase in all_of_it]
        found.append(
            PhaseSummary(
                phase=name,
                peak=round(median(peaks)),
                highest=max(peaks),
                predicted=round(median(phase.predicted for phase in all_of_it)),
                seconds=round(median(phase.seconds for phase in all_of_it), 4),
            )
        )
    return found


def measured_peaks(records: Sequence[MemoryRecord]) -> dict[str, int]:
    """The median peak of each phase, in bytes, where it is known."""
    return {phase.phase: phase.peak for phase in _phases(records) if phase.peak}
