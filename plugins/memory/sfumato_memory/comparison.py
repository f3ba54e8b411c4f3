"""Two sets of summaries beside each other: what has grown, what has shrunk, what has no counterpart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sfumato_memory.summaries import PhaseSummary, Summary


@dataclass(frozen=True)
class Difference:
    """The peak of one phase before and after, in bytes."""

    summary: Summary
    phase: str
    before: int
    after: int

    @property
    def growth(self) -> float:
        """As a share of what it was."""
        return (self.after - self.before) / self.before


@dataclass(frozen=True)
class Comparison:
    """What came of comparing.

    Attributes:
        differences: Of every phase that both know the peak of.
        missing: What only one of them has, in words.
    """

    differences: tuple[Difference, ...]
    missing: tuple[str, ...]

    def grown(self, threshold: float) -> list[Difference]:
        """Phases whose peak has grown by more than this share."""
        return [one for one in self.differences if one.growth > threshold]


def compare(base: Iterable[Summary], head: Iterable[Summary]) -> Comparison:
    """The same requests on the same devices beside each other; of several versions the newest counts."""
    before, after = _newest(base), _newest(head)
    differences: list[Difference] = []
    missing = [f"{_name(before[key])}: not measured again" for key in before if key not in after]
    missing += [f"{_name(after[key])}: not in the base" for key in after if key not in before]
    for key in before:
        if key in after:
            found, without = _phases(before[key], after[key])
            differences += found
            missing += without
    return Comparison(tuple(differences), tuple(missing))


def _phases(before: Summary, after: Summary) -> tuple[list[Difference], list[str]]:
    old, new = _measured(before.phases), _measured(after.phases)
    found = [Difference(after, name, old[name], new[name]) for name in old if name in new]
    missing = [f"{_name(before)}: no peak of {name} any more" for name in old if name not in new]
    missing += [f"{_name(after)}: no peak of {name} in the base" for name in new if name not in old]
    return found, missing


def _measured(phases: Sequence[PhaseSummary]) -> dict[str, int]:
    return {phase.phase: phase.peak for phase in phases if phase.peak}


def _newest(summaries: Iterable[Summary]) -> dict[tuple[str, str], Summary]:
    return {one.key: one for one in sorted(summaries, key=lambda one: one.last)}


def _name(summary: Summary) -> str:
    return f"{summary.name} on {summary.device}"
