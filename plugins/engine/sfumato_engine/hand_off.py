"""The hand-off to a refiner: another model takes over in the course of the same steps."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from sfumato.noise_schedule import NoiseSchedule
from sfumato.request import Refiner
from sfumato_engine.sampling_pass import Guided
from sfumato_engine.step_finder import StepFinder


class HandOff:
    """Two guided models taking turns; a `sfumato.sampling.Denoise`.

    Samplers that look back keep what they know from the first one: both estimate the same picture.
    """

    def __init__(self, first: Guided, then: Guided, below: float) -> None:
        """`below`: The noise level from which on, downwards, `then` is asked."""
        self._first = first
        self._then = then
        self._below = below
        self._latest = first

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        self._latest = self._then if sigma <= self._below else self._first
        return self._latest(x, sigma)

    @property
    def unconditional(self) -> Tensor | None:
        """That of the model asked last."""
        return self._latest.unconditional


def level_of(refiner: Refiner, sigmas: Sequence[float], schedule: NoiseSchedule) -> float:
    """The noise level from which on the refiner is asked; below 0 where it never is.

    Args:
        sigmas: Of the pass, one more than steps.
        schedule: Of the first model, whose timesteps count unless steps do.
    """
    finder = StepFinder(sigmas)
    if not refiner.by_steps:
        last = len(schedule.sigmas) - 1
        reached = [
            s for s in sigmas[:-1] if schedule.timestep(s) < last - len(schedule.sigmas) * refiner.switch_at
        ]
        return finder.ceiling(reached[0]) if reached else -1.0
    taken = [i for i in range(finder.steps) if i / finder.steps >= refiner.switch_at]
    return finder.ceiling(sigmas[taken[0]]) if taken else -1.0
