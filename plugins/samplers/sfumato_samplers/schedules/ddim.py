"""The timesteps that DDIM was published with."""

from __future__ import annotations

from typing import Any

from sfumato.noise_schedule import NoiseSchedule


def ddim(steps: int, schedule: NoiseSchedule, options: dict[str, Any]) -> list[float]:
    """Every so many trained levels, counted up from the second lowest, then 0.

    The strides are whole, as in diffusers ("leading" spacing with an offset of 1), A1111 and ComfyUI (whose
    name for it is ddim_uniform). Those two go on to the top of the table, and so take more steps than asked
    for where strides do not divide it; here the topmost levels are left out. Strides are fractions where
    whole ones would end far below the top. The first level lies up to two strides below the model's highest.
    """
    levels = len(schedule.sigmas)
    stride: float = levels // steps
    if levels - steps * stride >= stride:
        stride = levels / steps
    first = min(1, levels - 1 - int((steps - 1) * stride))
    return [schedule.sigmas[first + int(i * stride)] for i in reversed(range(steps))] + [0.0]
