"""A prompt's conditioning over the steps: prompt editing and alternation change it on the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
        if len(self.spans) == 1:
            return self.spans[0][1]
        return next((value for last, value in self.spans if step < last), self.spans[-1][1])
