"""Which step of a schedule a noise level belongs to.

What changes over the steps - prompt, guidance - is made a function of the noise level, so that samplers need
not know of it: a model evaluation between two levels, or at a level again, sees what is in force there.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

ROUNDING = 1e-6
"""Relative; samplers that compute in log-SNR come back to a level with the error of a few operations."""


class StepFinder:
    """Numbers the steps of descending noise levels from 0.

    Step i takes in the levels from ``sigmas[i]`` down to all that lie above ``sigmas[i + 1]``.

    Args:
        sigmas: One more than there are steps.
    """

    def __init__(self, sigmas: Sequence[float]) -> None:
        self.steps = len(sigmas) - 1
        self._starts = [-sigma * (1 + ROUNDING) for sigma in sigmas[:-1]]

    def __call__(self, sigma: float) -> int:
        """The step of a level; 0 also for levels above the first one."""
        return max(bisect_right(self._starts, -sigma) - 1, 0)

    @staticmethod
    def ceiling(sigma: float) -> float:
        """The highest level that still counts as `sigma`."""
        return sigma * (1 + ROUNDING)
