"""Schedules that were optimised for Stable Diffusion's noise levels, published as tables."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from sfumato.errors import BadInput
from sfumato.noise_schedule import NoiseSchedule

Tables = Mapping[str, Sequence[float]]

ALIGN_YOUR_STEPS: Tables = {
    "sd15": (14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029),
    "sdxl": (14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.380, 0.234, 0.113, 0.029),
}
GITS: Tables = {
    "sd15": (14.615, 4.617, 2.507, 1.236, 0.702, 0.402, 0.240, 0.156, 0.104, 0.094, 0.029),
    "sdxl": (14.615, 4.734, 2.567, 1.529, 0.987, 0.652, 0.418, 0.268, 0.179, 0.127, 0.029),
}
# fmt: off
FINE: Tables = {
    "sd15": (
        14.615, 11.23951352, 8.64363081, 6.64729424, 5.57250862, 4.71648546, 3.99196065, 3.5195609,
        3.13490466, 2.79228788, 2.48773628, 2.21663865, 1.97508351, 1.7793172, 1.61475335, 1.46540953,
        1.314849, 1.16642497, 1.03475547, 0.91573744, 0.80748169, 0.71202361, 0.621739, 0.53065202,
        0.4529096, 0.37491455, 0.27461819, 0.2011529, 0.14105873, 0.06682881, 0.03166121, 0.015,
    ),
    "sdxl": (
        14.615, 11.1491618, 8.50522127, 6.48827151, 5.43707402, 4.60398619, 3.89854704, 3.27407457,
        2.74396527, 2.29968659, 1.95448514, 1.67108715, 1.42878152, 1.23181009, 1.06789649, 0.92579443,
        0.80290886, 0.69660121, 0.60436903, 0.52852552, 0.46773344, 0.41393379, 0.36258186, 0.31008517,
        0.26518925, 0.22326461, 0.17653877, 0.13959192, 0.10587381, 0.05519369, 0.02877334, 0.015,
    ),
}
# fmt: on


def align_your_steps(steps: int, schedule: NoiseSchedule, options: dict[str, Any]) -> list[float]:
    """NVIDIA's levels for SD 1.5 or SDXL (option `table`), log-linear between them, then 0.

    Sabour et al. (2024), https://arxiv.org/abs/2404.14507; the numbers stand in
    https://research.nvidia.com/labs/toronto-ai/AlignYourSteps/howto.html. As in A1111, `steps` levels go
    down to the table's lowest, 0.029, and 0 is one step more: 11 steps take the table as it stands.
    NVIDIA's and ComfyUI's node put 0 in the place of 0.029: 10 steps take theirs.

    Raises:
        BadInput: the model is a flow model.
    """
    return _spread(ALIGN_YOUR_STEPS, steps, schedule, options)


def align_your_steps_gits(steps: int, schedule: NoiseSchedule, options: dict[str, Any]) -> list[float]:
    """As `align_your_steps`, with the levels of Chen et al. (2024), https://arxiv.org/abs/2405.11326.

    Raises:
        BadInput: the model is a flow model.
    """
    return _spread(GITS, steps, schedule, options)


def align_your_steps_32(steps: int, schedule: NoiseSchedule, options: dict[str, Any]) -> list[float]:
    """As `align_your_steps`, with Forge's table for 32 steps, which ends lower, at 0.015.

    Raises:
        BadInput: the model is a flow model.
    """
    return _spread(FINE, steps, schedule, options)


def _spread(tables: Tables, steps: int, schedule: NoiseSchedule, options: dict[str, Any]) -> list[float]:
    if schedule.convention != "variance_exploding":
        raise BadInput(
            "The 'align_your_steps' schedulers do not suit this model.",
            why="Their noise levels were optimised for Stable Diffusion; this is a flow model.",
            hint="Choose 'flow' or 'simple'.",
        )
    logs = [math.log(sigma) for sigma in tables[options["table"]]]
    places = ((len(logs) - 1) * i / max(steps - 1, 1) for i in range(steps))
    return [math.exp(_interpolated(logs, place)) for place in places] + [0.0]


def _interpolated(values: Sequence[float], place: float) -> float:
    """The value at a fractional index, on a straight line between its neighbours."""
    low = min(int(place), len(values) - 2)
    return values[low] + (place - low) * (values[low + 1] - values[low])
