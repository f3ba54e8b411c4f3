"""The timesteps of SDXL Turbo."""

from __future__ import annotations

from typing import Any

from sfumato.noise_schedule import NoiseSchedule


def turbo(steps: int, schedule: NoiseSchedule, options: dict[str, Any]) -> list[float]:
    """Trained levels at equal strides counted down from the top, rounded to timesteps, then 0.

    As in Forge, and diffusers' "trailing" spacing. ComfyUI's SDTurboScheduler differs: of the ten levels
    for ten steps it takes the first.
    """
    stride = len(schedule.sigmas) / steps
    return [schedule.sigmas[round((steps - i) * stride - 1)] for i in range(steps)] + [0.0]
