"""Colour correction: a result with the colours of the picture it was made from."""

from __future__ import annotations

import numpy
from PIL import Image


def with_colours_of(picture: Image.Image, original: Image.Image) -> Image.Image:
    """The RGB picture with the histograms of its brightness and both colour differences matched."""
    source, target = (numpy.asarray(each.convert("YCbCr")) for each in (picture, original))
    matched = numpy.stack([_matched(source[..., c], target[..., c]) for c in range(3)], axis=-1)
    return Image.fromarray(matched, mode="YCbCr").convert("RGB")


def _matched(source: numpy.ndarray, target: numpy.ndarray) -> numpy.ndarray:
    """Values replaced by those of the same rank in the target."""
    ranks, wanted = (
        numpy.cumsum(numpy.bincount(values.ravel(), minlength=256)) / values.size
        for values in (source, target)
    )
    table = numpy.interp(ranks, wanted, numpy.arange(256))
    return table.round().astype(numpy.uint8)[source]
