"""What Flux.1 Fill sees of the picture that it paints into."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from sfumato_models_flux.transformer import pack


def masked_picture_tokens(latents: Tensor, mask: Tensor) -> Tensor:
    """Features for the tokens of a picture, [1, n, 4c + 4f²], beside those of the latents.

    Args:
        latents: Of the picture without its masked part, [1, c, h, w], scaled as the model's own.
        mask: [1, 1, f·h, f·w] in 0..1, 1 where it is painted anew. It is not shrunk: a token sees each of its
            pixels, f x f for every latent, row by row.
    """
    pixels_per_latent = mask.shape[-1] // latents.shape[-1]
    pixels = F.pixel_unshuffle(mask, pixels_per_latent)
    return torch.cat((pack(latents), pack(pixels.to(latents.dtype))), dim=-1)
