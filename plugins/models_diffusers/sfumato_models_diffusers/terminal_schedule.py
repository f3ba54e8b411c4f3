"""A flow schedule whose last level before 0 is the same for any number of steps."""

from __future__ import annotations

from typing import Any

from sfumato.errors import BadInput
from sfumato.noise_schedule import NoiseSchedule, shift_sigma


def flow_to_terminal(steps: int, schedule: NoiseSchedule, options: dict[str, Any]) -> list[float]:
    """Equal steps in flow time under the model's shift, stretched to end at a given level before 0.

    As LTX-Video (https://arxiv.org/abs/2501.00103) and Qwen-Image have it: amounts of signal ``1 - sigma``
    are scaled. One step alone starts at 1 and cannot be stretched.

    Raises:
        BadInput: the model is not a flow model.
    """
    if schedule.convention != "flow":
        raise BadInput(
            "The 'flow_to_terminal' scheduler does not suit this model.",
            why="It spaces the noise levels of flow models (0 to 1); this model has levels of another kind.",
            hint="Choose 'karras' or 'normal'.",
        )
    sigmas = [shift_sigma((steps - i) / steps, schedule.shift) for i in range(steps)]
    last_signal = 1 - sigmas[-1]
    stretch = (1 - options["terminal"]) / last_signal if last_signal else 1.0
    return [1 - (1 - sigma) * stretch for sigma in sigmas] + [0.0]
