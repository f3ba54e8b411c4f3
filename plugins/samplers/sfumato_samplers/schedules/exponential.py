"""Steps in the logarithm of the noise level."""

from __future__ import annotations

import math
from typing import Any

from sfumato.noise_schedule import NoiseSchedule
from sfumato_samplers.schedules.noise_range import noise_range


def exponential(steps: int, schedule: NoiseSchedule, options: dict[str, Any]) -> list[float]:
    """Equal steps in log sigma from sigma_max to sigma_min, then 0: `polyexponential` with rho 1.

    Raises:
        BadInput: as `noise_range`.
    """
    return polyexponential(steps, schedule, {**options, "rho": 1.0})


def polyexponential(steps: int, schedule: NoiseSchedule, options: dict[str, Any]) -> list[float]:
    """Log sigma falling as ``t ** rho`` for t from 1 to 0, from sigma_max to sigma_min, then 0 (k-diffusion).

    Raises:
        BadInput: as `noise_range`.
    """
    low, high = noise_range(schedule, options)
    span = math.log(high / low)
    ramp = (1 - i / max(steps - 1, 1) for i in range(steps))
    return [high * math.exp(span * (t ** options["rho"] - 1)) for t in ramp] + [0.0]
