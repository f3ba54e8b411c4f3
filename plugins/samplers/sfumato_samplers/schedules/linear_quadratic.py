"""Small equal steps first, then ever larger ones."""

from __future__ import annotations

from typing import Any

from sfumato.noise_schedule import NoiseSchedule


def linear_quadratic(steps: int, schedule: NoiseSchedule, options: dict[str, Any]) -> list[float]:
    """Half the steps remove `threshold` of the noise in equal parts, the others the rest quadratically.

    The noise level has no kink between the halves. Published with Genmo's Mochi (mochi_preview/infer.py);
    ComfyUI's schedule of this name. It reads only the highest level of the model's table.
    """
    linear = steps // 2
    if linear == 0:
        return [schedule.sigma_max, 0.0]
    rest = steps - linear
    threshold = options["threshold"]
    slope = threshold / linear
    curve = (1 - threshold - slope * rest) / rest**2
    removed = [i * slope for i in range(linear)]
    removed += [threshold + u * slope + u**2 * curve for u in range(rest)]
    return [schedule.sigma_max * (1 - part) for part in removed] + [0.0]
