"""A prompt's conditioning over the steps: prompt editing and alternation change it on the way."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any


@dataclass(frozen=True)
class Timeline:
    """What is in force when.

    Attributes:
        spans: ``(last step, conditioning)`` in order, steps numbered from 1; the last one reaches to the end.
    """

    spans: Sequence[tuple[int, Any]]

    def at(self, step: int) -> Any:
        """The conditioning of step number `step`, from 0."""
        # An alternation has a span for each of up to 1000 steps, and every evaluation asks.
        place = bisect_right(self.spans, step, key=itemgetter(0))
        return self.spans[min(place, len(self.spans) - 1)][1]
