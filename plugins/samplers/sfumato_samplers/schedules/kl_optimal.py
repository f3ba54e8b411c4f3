"""The schedule that is optimal by a bound on the Kullback-Leibler divergence."""

from __future__ import annotations

import math
from typing import Any

from sfumato.noise_schedule import NoiseSchedule
from sfumato_samplers.schedules.noise_range import noise_range


def kl_optimal(steps: int, schedule: NoiseSchedule, options: dict[str, Any]) -> list[float]:
    """Equal steps in arctan sigma from sigma_max towards sigma_min, the last of them to 0 in its place.

    Sabour et al. (2024), "Align Your Steps", https://arxiv.org/abs/2404.14507. The paper and A1111 end at
    sigma_min and leave its noise in the picture; all levels above it are theirs. ComfyUI ends at sigma_min
    one step earlier and goes on to 0.

    Raises:
        BadInput: as `noise_range`.
    """
    low, high = noise_range(schedule, options)
    start, end = math.atan(high), math.atan(low)
    return [high, *(math.tan(start + i / steps * (end - start)) for i in range(1, steps)), 0.0]
