"""A picture on a larger canvas, and the mask of what is new there."""

from __future__ import annotations

from PIL import Image

from sfumato.request import Outpaint
from sfumato_engine.start.resizing import with_edges

OVERLAP = 2
"""Blur deviations by which the mask reaches into the old picture, so that the seam is drawn over."""


def canvas_of(picture: Image.Image, outpaint: Outpaint) -> Image.Image:
    """The RGB picture with its edges carried on."""
    return with_edges(picture, outpaint.left, outpaint.top, outpaint.right, outpaint.bottom)


def mask_of(picture: Image.Image, outpaint: Outpaint) -> Image.Image:
    """Grey mask of the canvas: white where the picture is carried on, and a little into it."""
    inward = int(OVERLAP * outpaint.blur)
    left, top = outpaint.left + inward * (outpaint.left > 0), outpaint.top + inward * (outpaint.top > 0)
    right = outpaint.left + picture.width - inward * (outpaint.right > 0)
    bottom = outpaint.top + picture.height - inward * (outpaint.bottom > 0)
    size = outpaint.left + picture.width + outpaint.right, outpaint.top + picture.height + outpaint.bottom
    mask = Image.new("L", size, 255)
    if right > left and bottom > top:
        mask.paste(0, (left, top, right, bottom))
    return mask
