"""Equal steps in training time, as ComfyUI and Stability's own programs take them."""

from __future__ import annotations

from typing import Any

from sfumato.noise_schedule import NoiseSchedule

NO_NOISE = 1e-5


def normal(steps: int, schedule: NoiseSchedule, options: dict[str, Any]) -> list[float]:
    """Equal steps in training time from the highest trained level to the lowest, then 0.

    A table whose lowest level is as good as 0 ends there: going on to 0 would waste a step. For flow models
    these are the levels of SD3 as published, in Stability's sd3-ref and in diffusers.
    """
    spans = steps if schedule.sigma_min < NO_NOISE else max(steps - 1, 1)
    return _evenly(steps, spans, schedule)


def sgm_uniform(steps: int, schedule: NoiseSchedule, options: dict[str, Any]) -> list[float]:
    """As `normal` with one step more, whose lowest level is left out: the step to 0 starts higher up.

    From Stability's generative-models; suits models distilled to few steps.
    """
    return _evenly(steps, steps, schedule)


def _evenly(steps: int, spans: int, schedule: NoiseSchedule) -> list[float]:
    """The first `steps` levels, and 0, of a way through training time in `spans` equal parts.

    Where a flow model has a time shift, the way ends at the shifted lowest level taken for a time, which is
    then shifted again: a little above the lowest, as in all programs named above.
    """
    last = len(schedule.sigmas) - 1
    lowest = schedule.sigma_min * len(schedule.sigmas) - 1 if schedule.convention == "flow" else 0
    return [schedule.sigma(last + i / spans * (lowest - last)) for i in range(steps)] + [0.0]
