"""Denoising of a part: the rest stays what it is."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sfumato.request import SoftInpaint
from sfumato_engine.start.soft import blended


@dataclass(frozen=True)
class KeptAround:
    """Puts the original around an estimate; a `sfumato_engine.sampling_pass.Keep`.

    Attributes:
        original: Clean latents [b, c, h, w].
        mask: [1, 1, h, w] in 0..1: 0 where the original stays.
        soft: Greys of the mask act as this asks for; None blends them straight.
    """

    original: Tensor
    mask: Tensor
    soft: SoftInpaint | None

    def __call__(self, estimate: Tensor, sigma: float) -> Tensor:
        if self.soft is not None:
            return blended(self.original, estimate, self.mask, sigma, self.soft)
        return torch.lerp(self.original, estimate, self.mask)
