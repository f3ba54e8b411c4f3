"""The size of a picture file as it is seen. Imports no tensor library."""

from __future__ import annotations

from sfumato.request import Img2Img, Outpaint
from sfumato_pictures.reading import read_size


def picture_size(start: Img2Img, outpaint: Outpaint | None) -> tuple[int, int]:
    """Width and height of what a request starts from; raises `BadInput` when it is no picture."""
    width, height = read_size(start.image)
    if outpaint is None:
        return width, height
    return outpaint.left + width + outpaint.right, outpaint.top + height + outpaint.bottom
