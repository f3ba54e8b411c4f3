"""Denoising of a part: the rest stays what it is."""

from __future__ import annotations

import torch
from torch import Tensor

from sfumato.request import SoftInpaint
from sfumato.sampling import Denoise
from sfumato_engine.start.soft import blended


class MaskedDenoise:
    """A denoiser whose estimate is the original's where the mask is 0; a `sfumato.sampling.Denoise`.

    Args:
        original: Clean latents [b, c, h, w].
        mask: [1, 1, h, w] in 0..1.
        soft: Greys of the mask act as this asks for; None blends them straight.
    """

    def __init__(self, denoise: Denoise, original: Tensor, mask: Tensor, soft: SoftInpaint | None) -> None:
        self._denoise = denoise
        self._original = original
        self._mask = mask
        self._soft = soft

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        denoised = self._denoise(x, sigma)
        if self._soft is not None:
            return blended(self._original, denoised, self._mask, sigma, self._soft)
        return torch.lerp(self._original, denoised, self._mask)
