"""The schedule of Karras et al.: most steps where noise is low."""

from __future__ import annotations

from typing import Any

from sfumato.noise_schedule import NoiseSchedule
from sfumato_samplers.schedules.noise_range import noise_range


def karras(steps: int, schedule: NoiseSchedule, options: dict[str, Any]) -> list[float]:
    """Equal steps in ``sigma ** (1 / rho)`` from sigma_max to sigma_min, then 0.

    Eq. 5 of Karras et al. (2022), https://arxiv.org/abs/2206.00364.

    Raises:
        BadInput: as `noise_range`.
    """
    rho = options["rho"]
    low, high = (sigma ** (1 / rho) for sigma in noise_range(schedule, options))
    ramp = (i / max(steps - 1, 1) for i in range(steps))
    return [(high + t * (low - high)) ** rho for t in ramp] + [0.0]
