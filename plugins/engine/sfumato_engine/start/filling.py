"""Masked content 'fill': the masked part takes the colours around it."""

from __future__ import annotations

from PIL import Image, ImageFilter, ImageOps

FROM_FAR_TO_NEAR = ((256, 1), (64, 1), (16, 2), (4, 4), (2, 2), (0, 1))
"""Radii of blurs laid over each other, and how often each: near ones cover far ones where they reach."""


def filled(picture: Image.Image, mask: Image.Image) -> Image.Image:
    """The RGB picture with the masked part (white) filled by ever nearer colours of what is not masked."""
    kept = Image.new("RGBa", picture.size)
    kept.paste(picture.convert("RGBA").convert("RGBa"), mask=ImageOps.invert(mask))
    layers = Image.new("RGBA", picture.size)
    for radius, times in FROM_FAR_TO_NEAR:
        layer = kept.filter(ImageFilter.GaussianBlur(radius)).convert("RGBA")
        for _ in range(times):
            layers.alpha_composite(layer)
    return layers.convert("RGB")
