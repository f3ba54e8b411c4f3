"""The passes of one request: each is a request of its own, made of the first one's.

A hires pass takes over all that it does not change; a refiner takes over all but the model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sfumato.models import ModelInfo
from sfumato.noise_schedule import TRAINING_STEPS
from sfumato.request import GenerationRequest, HiresPass

OF_THE_FIRST_PASS: dict[str, Any] = {
    "img2img": None,
    "inpaint": None,
    "outpaint": None,
    "hires": None,
    "refiner": None,
    "seed_resize_width": 0,
    "seed_resize_height": 0,
}
"""Fields that further passes do without."""

OF_A_FAMILY = ("sampler", "scheduler", "cfg_scale", "clip_skip")
"""Fields whose right values differ from family to family."""

NEARLY_ALL = 0.999
"""The largest denoising strength that steps are counted by, as in A1111."""


@dataclass(frozen=True)
class Denoising:
    """A pass that starts from a picture.

    Attributes:
        strength: Share of the noise levels that is passed, 0..1.
        all_steps: Lay out so many steps that the number asked for falls into that share.
    """

    strength: float
    all_steps: bool = False

    def laid_out(self, steps: int) -> int:
        """Steps of the whole schedule, of which the last ones are run.

        As in A1111, but never more than there are noise levels that models were trained on: strengths of a
        few thousandths would ask for thousands of them, that no scheduler can tell apart.
        """
        if not (self.all_steps and self.strength):
            return steps
        return max(steps, min(int(steps / min(self.strength, NEARLY_ALL)), TRAINING_STEPS))

    def run(self, steps: int) -> int:
        """Steps that are run when so many are asked for, counted as A1111 does: one more than the share.

        None at strength 0, where A1111 runs one: it changes nothing.
        """
        if not self.strength:
            return 0
        return steps if self.all_steps else int(min(self.strength, NEARLY_ALL) * steps) + 1


def hires_request(
    request: GenerationRequest, hires: HiresPass, first: ModelInfo, other: ModelInfo | None
) -> GenerationRequest:
    """The hires pass as a request.

    Args:
        request: The first pass, with every field filled.
        first: Its model.
        other: The hires pass's own model, if it has one.
    """
    width, height = hires_size(hires, request.width or 0, request.height or 0)
    names = ("model", "sampler", "scheduler", "prompt", "negative_prompt", "cfg_scale")
    own = {name: value for name in names if (value := getattr(hires, name)) is not None}
    steps = hires.steps or request.steps
    given = {**_left_open(request, first, other), **own}
    changes = {**OF_THE_FIRST_PASS, **given, "width": width, "height": height, "steps": steps}
    return request.model_copy(update={**changes, **_options_of(other), "refiner": request.refiner})


def _left_open(request: GenerationRequest, first: ModelInfo, other: ModelInfo | None) -> dict[str, None]:
    """Fields that another family's model fills anew: what the first one recommends says nothing to it."""
    if other is None or other.family == first.family:
        return {}
    recommended = first.defaults.model_dump(include=set(OF_A_FAMILY))
    return {name: None for name, value in recommended.items() if getattr(request, name) == value}


def refiner_request(request: GenerationRequest, other: ModelInfo) -> GenerationRequest:
    """What the refiner does, as a request of its own."""
    model = request.refiner.model if request.refiner else None
    return request.model_copy(update={**OF_THE_FIRST_PASS, "model": model, **_options_of(other)})


def _options_of(other: ModelInfo | None) -> dict[str, Any]:
    """A family's options say nothing to a model that may be of another one."""
    return {} if other is None else {"model_options": {}, "parts": {}}


def hires_size(hires: HiresPass, width: int, height: int) -> tuple[int, int]:
    """Width and height of the hires pass, before they are brought to what its model can draw."""
    if hires.width and hires.height:
        return hires.width, hires.height
    if hires.width:
        return hires.width, hires.width * height // width
    if hires.height:
        return hires.height * width // height, hires.height
    return int(width * hires.scale), int(height * hires.scale)
