"""The schedule of rectified-flow models."""

from __future__ import annotations

from typing import Any

from sfumato.errors import BadInput
from sfumato.noise_schedule import NoiseSchedule, shift_sigma


def flow(steps: int, schedule: NoiseSchedule, options: dict[str, Any]) -> list[float]:
    """Equal steps in flow time, ``1, 1 - 1/steps ... 1/steps``, under a time shift, then 0.

    Esser et al. (2024), https://arxiv.org/abs/2403.03206, section 5.3.2. The shift is the model's own, which
    a family makes depend on the picture's size with `sfumato.noise_schedule.dynamic_shift`; option `shift`
    overrides it.

    Raises:
        BadInput: the model is not a flow model.
    """
    if schedule.convention != "flow":
        raise BadInput(
            "The 'flow' scheduler does not suit this model.",
            why="It spaces the noise levels of flow models (0 to 1); this model has levels of another kind.",
            hint="Choose 'karras' or 'normal'.",
        )
    shift = options["shift"] or schedule.shift
    return [shift_sigma((steps - i) / steps, shift) for i in range(steps)] + [0.0]
