"""Steps crowded at both ends of training time, as the quantiles of a beta distribution."""

from __future__ import annotations

from typing import Any

from sfumato.noise_schedule import NoiseSchedule
from sfumato_samplers.schedules.beta_distribution import beta_quantile


def beta(steps: int, schedule: NoiseSchedule, options: dict[str, Any]) -> list[float]:
    """Trained levels at the quantiles of Beta(alpha, beta), then 0.

    Lee et al. (2024), "Beta Sampling is All You Need", https://arxiv.org/abs/2407.12173; levels are those of
    the nearest timesteps, as in ComfyUI and Forge. Where there are so many steps that two would fall on one
    timestep, levels between timesteps are taken.
    """
    last = len(schedule.sigmas) - 1
    times = [last * beta_quantile(1 - i / steps, options["alpha"], options["beta"]) for i in range(steps)]
    nearest = [round(time) for time in times]
    if len(set(nearest)) == steps:
        return [schedule.sigmas[time] for time in nearest] + [0.0]
    return [schedule.sigma(time) for time in times] + [0.0]
