"""Classifier-free guidance (Ho & Salimans 2022, https://arxiv.org/abs/2207.12598) around a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sfumato.models import LoadedModel
from sfumato.sampling import Denoise


@dataclass(frozen=True)
class Guidance:
    """What the pictures of a batch are steered by.

    Attributes:
        positive: Conditioning of the prompt, one a picture.
        negative: Conditioning of the negative prompt, one a picture; not used at scale 1.
        scale: 1 follows the prompt alone, above 1 moves away from the negative prompt.
        one_batch: Evaluate both side by side.
    """

    positive: Sequence[Any]
    negative: Sequence[Any]
    scale: float
    one_batch: bool


def guided(model: LoadedModel, guidance: Guidance, options: Mapping[str, Any]) -> Denoise:
    """The model's clean estimate under guidance: ``uncond + scale * (cond - uncond)``."""
    positive, negative, scale = guidance.positive, guidance.negative, guidance.scale
    both = [*positive, *negative]

    def prompt_only(x: Tensor, sigma: float) -> Tensor:
        return model.denoise(x, sigma, positive, options)

    def one_batch(x: Tensor, sigma: float) -> Tensor:
        cond, uncond = model.denoise(torch.cat((x, x)), sigma, both, options).chunk(2)
        return torch.lerp(uncond, cond, scale)

    def two_passes(x: Tensor, sigma: float) -> Tensor:
        cond = model.denoise(x, sigma, positive, options)
        uncond = model.denoise(x, sigma, negative, options)
        return torch.lerp(uncond, cond, scale)

    if scale == 1:
        return prompt_only
    return one_batch if guidance.one_batch else two_passes
