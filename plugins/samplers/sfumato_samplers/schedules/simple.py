"""Every so many trained noise levels, from the top."""

from __future__ import annotations

from typing import Any

from sfumato.noise_schedule import NoiseSchedule


def simple(steps: int, schedule: NoiseSchedule, options: dict[str, Any]) -> list[float]:
    """Equal strides through the table of trained levels, as ComfyUI and Forge take them, then 0."""
    stride = len(schedule.sigmas) / steps
    return [schedule.sigmas[-1 - int(i * stride)] for i in range(steps)] + [0.0]
