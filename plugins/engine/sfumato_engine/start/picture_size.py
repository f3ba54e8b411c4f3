"""The size of a picture file as it is seen, and that it is drawn at. Imports no tensor library."""

from __future__ import annotations

from sfumato.request import Img2Img, Outpaint
from sfumato_pictures.reading import read_size

SIZE_STEP = 16
"""Pixels that the size of a start picture is brought to a multiple of: what all families can draw."""


def size_to_draw(start: Img2Img, outpaint: Outpaint | None) -> tuple[int, int]:
    """Width and height for a request that leaves them open; raises `BadInput` when it starts from no picture.

    A picture that is carried on is drawn a little larger where it must be, and cut to size in the end.
    """
    width, height = read_size(start.image)
    if outpaint is None:
        return max(width // SIZE_STEP, 1) * SIZE_STEP, max(height // SIZE_STEP, 1) * SIZE_STEP
    return enough_for(outpaint.left + width + outpaint.right, outpaint.top + height + outpaint.bottom)


def enough_for(width: int, height: int) -> tuple[int, int]:
    """The smallest size that all families can draw and that covers this one."""
    return -(-width // SIZE_STEP) * SIZE_STEP, -(-height // SIZE_STEP) * SIZE_STEP
