"""What an inpainting UNet sees beside the latents: the mask and the picture without its masked part."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

Encode = Callable[[Tensor], Tensor]


def masked_picture(pixels: Tensor, mask: Tensor, encode: Encode) -> Tensor:
    """The five channels [1, 5, h, w] that follow the four of the latents: mask, then latents of the picture.

    Args:
        pixels: [1, 3, H, W] in 0..1, the masked part already blanked out.
        mask: [1, 1, H, W]; from 0.5 on it counts as masked, since these models were trained on hard masks.
        encode: Pixels to latents, scaled as the UNet takes them.
    """
    latents = encode(pixels)
    small = F.interpolate((mask >= 0.5).to(latents), size=latents.shape[-2:], mode="nearest")
    return torch.cat((small, latents), dim=1)


def blank_picture(width: int, height: int, encode: Encode, device: str) -> Tensor:
    """For a picture drawn from the prompt alone: all of it masked, and grey."""
    pixels = torch.full((1, 3, height, width), 0.5, device=device)
    return masked_picture(pixels, torch.ones(1, 1, height, width, device=device), encode)
