"""The ends of a schedule that reads nothing of a model's noise table but its ends."""

from __future__ import annotations

from typing import Any

from sfumato.errors import BadInput
from sfumato.noise_schedule import NoiseSchedule

NARROWEST = 1.01  # between closer ends many steps would round to the same level


def noise_range(schedule: NoiseSchedule, options: dict[str, Any]) -> tuple[float, float]:
    """The lowest and the highest noise level: options `sigma_min` and `sigma_max`, 0 taking the model's.

    They are what A1111 calls "Schedule min sigma" and "Schedule max sigma".

    Raises:
        BadInput: too little lies between them, or the highest is more than all noise (1) of a flow model.
    """
    low = options["sigma_min"] or schedule.sigma_min
    high = options["sigma_max"] or schedule.sigma_max
    if high < NARROWEST * low:
        raise BadInput(
            f"A schedule cannot go from noise level {high:g} to {low:g}.",
            why="The highest level must lie above the lowest, by 1% or more.",
            hint="Raise 'sigma_max' or lower 'sigma_min'; 0 takes the model's own.",
        )
    if schedule.convention == "flow" and high > 1:
        raise BadInput(
            f"A flow model cannot start at noise level {high:g}.",
            why="Its levels go from 0, no noise, to 1, nothing but noise.",
            hint="Set 'sigma_max' to 1 or less; 0 takes the model's own.",
        )
    return low, high
