"""Steps crowded at both ends, as the quantiles of a beta distribution."""

from __future__ import annotations

from typing import Any

from sfumato.noise_schedule import NoiseSchedule
from sfumato_samplers.schedules.beta_distribution import beta_quantile


def beta(steps: int, schedule: NoiseSchedule, options: dict[str, Any]) -> list[float]:
    """Levels at the quantiles of Beta(alpha, beta), then 0.

    Lee et al. (2024), "Beta Sampling is All You Need", https://arxiv.org/abs/2407.12173. Option `over` says
    of what they are quantiles: of the noise levels between the model's lowest and highest, as in A1111,
    Forge and diffusers, or of the training timesteps, as in the paper and ComfyUI.
    """
    if options["over"] == "timesteps":
        return _over_timesteps(steps, schedule, options)
    low, high = schedule.sigma_min, schedule.sigma_max
    ramp = (1 - i / max(steps - 1, 1) for i in range(steps))
    parts = (beta_quantile(p, options["alpha"], options["beta"]) for p in ramp)
    return [(1 - part) * low + part * high for part in parts] + [0.0]


def _over_timesteps(steps: int, schedule: NoiseSchedule, options: dict[str, Any]) -> list[float]:
    """Levels of the nearest timesteps; between timesteps where so many steps would share one."""
    last = len(schedule.sigmas) - 1
    times = [last * beta_quantile(1 - i / steps, options["alpha"], options["beta"]) for i in range(steps)]
    nearest = [round(time) for time in times]
    if len(set(nearest)) == steps:
        return [schedule.sigmas[time] for time in nearest] + [0.0]
    return [schedule.sigma(time) for time in times] + [0.0]
