"""Stages: what a plugin may put into the way of a picture, at a point of its choice.

A request names the stages that take part and their options (`GenerationRequest.stages`); they run in name
order. Each is a plain function of what passes that point:

==============  ==========================================================================================
``"prompt"``    ``stage(prompt: str, context) -> str``: before the prompt is parsed
``"denoise"``   ``stage(denoise: Denoise, context) -> Denoise``: around the guided model, once a batch
``"latents"``   ``stage(latents: Tensor, context) -> Tensor``: clean latents [b, c, h, w]; shape and type stay
``"picture"``   ``stage(pixels: Tensor, context) -> Tensor``: one picture, uint8 [h, w, 3] on the CPU
==============  ==========================================================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from sfumato.request import GenerationRequest
from sfumato.sampling import Option

Point = Literal["prompt", "denoise", "latents", "picture"]


class StageInfo(BaseModel):
    """What clients need to know of a stage."""

    model_config = ConfigDict(frozen=True)

    name: str = Field(description="Permanent lower_snake name.")
    label: str = Field(description="The name people see.")
    at: Point = Field(description="Where it takes part, see `sfumato.stages`.")
    aliases: tuple[str, ...] = ()
    summary: str = ""
    options: tuple[Option, ...] = ()


@dataclass(frozen=True)
class StageContext:
    """What a stage is told besides what it works on.

    Attributes:
        request: With every field resolved.
        options: The stage's own, complete and checked.
        seeds: Of the pictures at hand: those of the batch, or the one of a picture; empty for a prompt.
    """

    request: GenerationRequest
    options: Mapping[str, Any]
    seeds: tuple[int, ...] = ()
