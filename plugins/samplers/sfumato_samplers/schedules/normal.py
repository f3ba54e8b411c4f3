"""Equal steps in training time."""

from __future__ import annotations

from typing import Any

from sfumato.noise_schedule import NoiseSchedule
from sfumato_samplers.schedules.uniform import sgm_uniform, uniform

NO_NOISE = 1e-5


def normal(steps: int, schedule: NoiseSchedule, options: dict[str, Any]) -> list[float]:
    """Equal steps in training time from the highest trained level to the lowest, then 0.

    A table whose lowest level is as good as 0 ends there: going on to 0 would waste a step. ComfyUI's
    schedule of this name ends a shifted flow table a little higher, because its timesteps leave the shift
    out.
    """
    even = sgm_uniform if schedule.sigma_min < NO_NOISE else uniform
    return even(steps, schedule, options)
