"""Colour correction: a result with the colours of the picture it was made from."""

from __future__ import annotations

import numpy
from PIL import Image, ImageCms

DAYLIGHT = 6500
"""Kelvin: sRGB's own white, so that greys have no colour."""
SIGNED = numpy.array([0, 128, 128], dtype=numpy.uint8)
"""Added to the bytes of L*a*b*, in which colours are signed numbers, to have them in order."""


def with_colours_of(picture: Image.Image, original: Image.Image) -> Image.Image:
    """The RGB picture with its own brightness, and the colours of the original.

    As in A1111, the histograms of all channels of L*a*b* are matched, and the brightness is put back.
    """
    rgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB", DAYLIGHT)
    to_lab = ImageCms.buildTransform(rgb, lab, "RGB", "LAB")
    to_rgb = ImageCms.buildTransform(lab, rgb, "LAB", "RGB")
    source, target = (numpy.asarray(to_lab.apply(each)) + SIGNED for each in (picture, original))
    matched = numpy.stack([_matched(source[..., c], target[..., c]) for c in range(3)], axis=-1) - SIGNED
    coloured = to_rgb.apply(Image.fromarray(matched, mode="LAB"))
    brightness = picture.convert("YCbCr").getchannel("Y")
    return Image.merge("YCbCr", (brightness, *coloured.convert("YCbCr").split()[1:])).convert("RGB")


def _matched(source: numpy.ndarray, target: numpy.ndarray) -> numpy.ndarray:
    """Values replaced by those of the same rank in the target."""
    ranks, wanted = (
        numpy.cumsum(numpy.bincount(values.ravel(), minlength=256)) / values.size
        for values in (source, target)
    )
    table = numpy.interp(ranks, wanted, numpy.arange(256))
    return table.round().astype(numpy.uint8)[source]
