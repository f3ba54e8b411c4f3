"""Equal steps in training time, as k-diffusion takes them for a model."""

from __future__ import annotations

from typing import Any

from sfumato.noise_schedule import NoiseSchedule


def uniform(steps: int, schedule: NoiseSchedule, options: dict[str, Any]) -> list[float]:
    """Equal steps in training time from the highest trained level to the lowest, then 0.

    Between timesteps levels are log-linear (flow models: exact). A1111 takes this one where the scheduler
    is left open and the sampler prefers none.
    """
    last = len(schedule.sigmas) - 1
    return [schedule.sigma(last * (1 - i / max(steps - 1, 1))) for i in range(steps)] + [0.0]
