"""Live previews: latents to colours by a linear projection, hundreds of times cheaper than decoding."""

from __future__ import annotations

import torch
from torch import Tensor

from sfumato.models import LatentFormat
from sfumato_pictures.png import encode_png


def project(latents: Tensor, latent_format: LatentFormat) -> Tensor:
    """Latents [b, c, h, w] to uint8 colours on the CPU, [b, h, w, 3]: one pixel a latent position."""
    factors = torch.tensor(latent_format.rgb_factors, dtype=latents.dtype, device=latents.device)
    bias = torch.tensor(latent_format.rgb_bias, dtype=latents.dtype, device=latents.device)
    colours = torch.einsum("bchw,cr->bhwr", latents, factors) + bias
    return colours.add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8).cpu()


def previews(latents: Tensor, latent_format: LatentFormat) -> tuple[bytes, ...]:
    """A small PNG of each picture; none when the family knows no projection."""
    if not latent_format.rgb_factors:
        return ()
    return tuple(encode_png(colours, {}, compression=1) for colours in project(latents, latent_format))
