"""Upscalers of latents, by torch's interpolation: the modes that A1111's hires fix offers."""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from sfumato.upscaling import UpscaleContext


@dataclass(frozen=True)
class LatentUpscaler:
    """An upscaler by one mode of `torch.nn.functional.interpolate`."""

    mode: str
    antialias: bool = False

    def __call__(self, picture: Tensor, width: int, height: int, context: UpscaleContext) -> Tensor:
        return F.interpolate(picture, size=(height, width), mode=self.mode, antialias=self.antialias)


latent = LatentUpscaler("bilinear")
latent_antialiased = LatentUpscaler("bilinear", antialias=True)
latent_bicubic = LatentUpscaler("bicubic")
latent_bicubic_antialiased = LatentUpscaler("bicubic", antialias=True)
latent_nearest = LatentUpscaler("nearest")
latent_nearest_exact = LatentUpscaler("nearest-exact")
