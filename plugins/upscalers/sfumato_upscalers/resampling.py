"""Upscalers without a network: resampling by Pillow's filters, in float rather than in bytes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

from sfumato.upscaling import UpscaleContext


@dataclass(frozen=True)
class Resampler:
    """An upscaler by one of Pillow's filters, which widens when it shrinks (no aliasing)."""

    filter: Image.Resampling

    def __call__(self, picture: Tensor, width: int, height: int, context: UpscaleContext) -> Tensor:
        return resample(picture, width, height, self.filter)


def resample(picture: Tensor, width: int, height: int, by: Image.Resampling) -> Tensor:
    """Pixels [b, c, h, w] in 0..1 to [b, c, height, width], clamped to 0..1 again.

    A picture that has the size is returned as it is.
    """
    if picture.shape[-2:] == (height, width):
        return picture
    planes = picture.detach().to("cpu", torch.float32).flatten(0, 1)
    # A copy each: Pillow's memory must not be written to through the tensor.
    resized = [
        torch.frombuffer(
            bytearray(Image.fromarray(plane.numpy()).resize((width, height), by).tobytes()),
            dtype=torch.float32,
        )
        for plane in planes
    ]
    pixels = torch.stack(resized).view(*picture.shape[:2], height, width)
    return pixels.clamp_(0, 1).to(picture.device, picture.dtype)


lanczos = Resampler(Image.Resampling.LANCZOS)
bicubic = Resampler(Image.Resampling.BICUBIC)
bilinear = Resampler(Image.Resampling.BILINEAR)
nearest = Resampler(Image.Resampling.NEAREST)
none = lanczos
