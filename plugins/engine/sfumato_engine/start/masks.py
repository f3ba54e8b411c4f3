"""Masks as pictures: softened, and the part of a picture that one covers. White (255) is painted anew."""

from __future__ import annotations

import numpy
import torch
import torch.nn.functional as F
from PIL import Image

Box = tuple[int, int, int, int]
"""Left, top, right, bottom; right and bottom are one past the last pixel."""


def blurred(mask: Image.Image, deviation: float) -> Image.Image:
    """Gaussian blur of a grey picture, mirrored at the edges, cut off at 2.5 deviations."""
    if not deviation:
        return mask
    reach = int(2.5 * deviation + 0.5)
    offsets = torch.arange(-reach, reach + 1, dtype=torch.float32)
    kernel = torch.exp(-(offsets**2) / (2 * deviation**2))
    kernel = kernel / kernel.sum()
    values = torch.from_numpy(numpy.asarray(mask, dtype=numpy.float32))
    for dimension in (0, 1):
        values = _convolved(values, kernel, dimension)
    return Image.fromarray(values.round().clamp(0, 255).to(torch.uint8).numpy())


def _convolved(values: torch.Tensor, kernel: torch.Tensor, dimension: int) -> torch.Tensor:
    reach = len(kernel) // 2
    rows = values.movedim(dimension, -1)
    n = rows.shape[-1]
    places = torch.arange(-reach, n + reach)
    period = max(2 * (n - 1), 1)
    places = places.remainder(period)
    reflected = torch.minimum(places, period - places) if n > 1 else torch.zeros_like(places)
    padded = rows[:, reflected]
    return F.conv1d(padded[:, None], kernel[None, None]).squeeze(1).movedim(-1, dimension)


def masked_area(mask: Image.Image, padding: int, width: int, height: int) -> Box:
    """The box around all that is not black, with padding, in the proportions of width x height.

    It is moved, not cut, where it would leave the picture, and cut only where the picture is too small.

    Args:
        mask: Grey, not all black.
    """
    box = mask.getbbox() or (0, 0, *mask.size)
    left, top = max(box[0] - padding, 0), max(box[1] - padding, 0)
    right, bottom = min(box[2] + padding, mask.width), min(box[3] + padding, mask.height)
    wanted = width / height
    if (right - left) / (bottom - top) > wanted:
        top, bottom = _widened(top, bottom, (right - left) / wanted, mask.height)
    else:
        left, right = _widened(left, right, (bottom - top) * wanted, mask.width)
    return left, top, right, bottom


def _widened(start: int, end: int, length: float, limit: int) -> tuple[int, int]:
    missing = int(length) - (end - start)
    start -= missing // 2
    end += missing - missing // 2
    if end > limit:
        start, end = start - (end - limit), limit
    if start < 0:
        start, end = 0, end - start
    return start, min(end, limit)
