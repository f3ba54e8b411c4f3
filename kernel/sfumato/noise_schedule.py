"""The noise levels a model was trained on: the meeting point of model families and schedulers.

Two conventions cover the field. `variance_exploding` (eps and v models, Karras et al. 2022):
``x = x0 + sigma * noise`` with sigma from about 0.03 to 14.6. `flow` (rectified flow, Liu et al. 2022):
``x = (1 - sigma) * x0 + sigma * noise`` with sigma from 0 to 1. All values are plain Python floats: schedules
are made once, outside any loop.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Convention = Literal["variance_exploding", "flow"]
TRAINING_STEPS = 1000


@dataclass(frozen=True)
class NoiseSchedule:
    """A model's noise levels.

    Attributes:
        convention: How noise and picture mix, see the module docstring.
        sigmas: The trained noise levels in ascending order, one a training timestep (1000 of them as a rule).
        shift: For flow models the time shift already applied in `sigmas` (1 = none).
    """

    convention: Convention
    sigmas: tuple[float, ...]
    shift: float = 1.0

    @property
    def sigma_min(self) -> float:
        return self.sigmas[0]

    @property
    def sigma_max(self) -> float:
        return self.sigmas[-1]

    def sigma(self, timestep: float) -> float:
        """The noise level at a fractional timestep in 0..len(sigmas)-1, log-linear between table entries.

        Flow tables interpolate linearly in time before the shift, which is exact for them.
        """
        if self.convention == "flow":
            return shift_sigma((timestep + 1) / len(self.sigmas), self.shift)
        low = min(max(int(timestep), 0), len(self.sigmas) - 1)
        high = min(low + 1, len(self.sigmas) - 1)
        weight = timestep - low
        return math.exp((1 - weight) * math.log(self.sigmas[low]) + weight * math.log(self.sigmas[high]))

    def timestep(self, sigma: float) -> float:
        """The fractional timestep of a noise level: the inverse of `sigma`."""
        if self.convention == "flow":
            return unshift_sigma(sigma, self.shift) * len(self.sigmas) - 1
        high = min(max(bisect.bisect_left(self.sigmas, sigma), 1), len(self.sigmas) - 1)
        low = high - 1
        span = math.log(self.sigmas[high]) - math.log(self.sigmas[low])
        return low + (math.log(sigma) - math.log(self.sigmas[low])) / span


def flow_schedule(shift: float = 1.0, levels: int = TRAINING_STEPS) -> NoiseSchedule:
    """The rectified-flow schedule under a time shift (Esser et al. 2024, eq. 23).

    `levels` is the fineness of the table that schedulers such as 'simple' pick from: ComfyUI and Forge use
    10000 for Flux, 1000 for other flow models.
    """
    times = ((level + 1) / levels for level in range(levels))
    return NoiseSchedule("flow", tuple(shift_sigma(time, shift) for time in times), shift)


def variance_exploding_schedule(alphas_cumprod: Sequence[float]) -> NoiseSchedule:
    """The schedule of a DDPM-trained model: ``sigma = sqrt((1 - a) / a)`` for its cumulated alphas."""
    return NoiseSchedule("variance_exploding", tuple(math.sqrt((1 - a) / a) for a in alphas_cumprod))


def shift_sigma(sigma: float, shift: float) -> float:
    """Move flow noise levels to more noise (shift > 1) or less: ``shift * s / (1 + (shift - 1) * s)``."""
    return sigma / (sigma + (1 - sigma) / shift)  # the same, but never above 1 by rounding


def unshift_sigma(sigma: float, shift: float) -> float:
    """The inverse of `shift_sigma`."""
    return sigma / (sigma + (1 - sigma) * shift)


def dynamic_shift(
    image_tokens: int,
    *,
    base_shift: float = 0.5,
    max_shift: float = 1.15,
    base_tokens: int = 256,
    max_tokens: int = 4096,
) -> float:
    """Flux's resolution-dependent shift: ``exp(mu)`` with mu linear in the number of image tokens.

    mu is `base_shift` at `base_tokens` and `max_shift` at `max_tokens` (black-forest-labs/flux, sampling.py).
    """
    slope = (max_shift - base_shift) / (max_tokens - base_tokens)
    return math.exp(base_shift + slope * (image_tokens - base_tokens))
