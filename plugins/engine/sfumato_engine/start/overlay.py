"""Finished inpaintings set back into the picture that they were made from."""

from __future__ import annotations

from dataclasses import dataclass, replace

from PIL import Image, ImageOps

from sfumato_engine.start.masks import Box
from sfumato_engine.start.resizing import resized


@dataclass(frozen=True)
class Overlay:
    """What lies over a drawn picture in the end.

    Attributes:
        original: RGB, the whole picture.
        mask: Grey, of its size: white shows what was drawn, black the original.
        box: Where the drawn picture belongs; None for all of the original. What lies beyond it is cut off.
    """

    original: Image.Image
    mask: Image.Image
    box: Box | None = None

    def showing(self, mask: Image.Image) -> Overlay:
        """The same with another mask, of what was drawn; beyond its box the original stays."""
        left, top, right, bottom = self.box or (0, 0, *self.original.size)
        whole = Image.new("L", self.original.size, 0)
        whole.paste(resized(mask, right - left, bottom - top, "crop"), (left, top))
        return replace(self, mask=whole)

    def over(self, drawn: Image.Image) -> Image.Image:
        """The whole picture with what was drawn in it, RGB."""
        left, top, right, bottom = self.box or (0, 0, *self.original.size)
        below = self.original.copy()
        below.paste(resized(drawn, right - left, bottom - top, "crop"), (left, top))
        return Image.composite(self.original, below, ImageOps.invert(self.mask))
