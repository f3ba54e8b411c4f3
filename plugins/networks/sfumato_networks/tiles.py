"""A picture worked on in tiles that fade into each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Tile:
    """A part of a picture."""

    top: int
    left: int
    height: int
    width: int

    def slices(self, unit: int) -> tuple[slice, slice]:
        """Its rows and columns where a step of the layout is so many pixels."""
        return (
            slice(self.top * unit, (self.top + self.height) * unit),
            slice(self.left * unit, (self.left + self.width) * unit),
        )


def spans(length: int, tile: int, overlap: int, multiple: int = 1) -> list[tuple[int, int]]:
    """Where tiles begin and end along a side; neighbours share `overlap` or more.

    All begin at a multiple of `multiple`, where tiles are large enough for it; the last one, which ends with
    the side, may be that much longer.
    """
    if not 0 < tile < length:
        return [(0, length)]
    if tile - overlap < multiple:
        multiple = 1
    step = max((tile - overlap) // multiple * multiple, 1)
    last = (length - tile) // multiple * multiple
    return [*((start, start + tile) for start in range(0, last, step)), (last, length)]


def layout(height: int, width: int, tile: int, overlap: int, multiple: int = 1) -> list[Tile]:
    """The tiles of a picture, row by row; a tile of 0 is the whole side. See `spans`."""
    return [
        Tile(top, left, bottom - top, right - left)
        for top, bottom in spans(height, tile, overlap, multiple)
        for left, right in spans(width, tile, overlap, multiple)
    ]


def blended(
    picture: Tensor,
    tiles: list[Tile],
    overlap: int,
    work: Callable[[Tensor], Tensor],
    *,
    units: tuple[int, int] = (1, 1),
) -> Tensor:
    """What `work` makes of each tile, put together; where tiles overlap, one fades into the other.

    The outer quarter of an overlap, where a network knows least of what lies around, is not used: one that
    looks no farther than that gives the same as on the whole picture.

    Args:
        picture: [b, c, h * units[0], w * units[0]].
        tiles: Covering h x w, from `layout`.
        overlap: That of the layout.
        work: [b, c, th * units[0], tw * units[0]] to [b, d, th * units[1], tw * units[1]].
        units: Pixels of the picture, and of the result, that one step of the layout stands for: (1, 4) where
            a tile is made four times as large, (8, 1) where pixels become latents.

    Returns:
        float32 [b, d, h * units[1], w * units[1]] on the picture's device.
    """
    if len(tiles) == 1:
        return work(picture).to(picture.device, torch.float32)
    given, scale = units
    height, width = (side // given * scale for side in picture.shape[-2:])
    total: Tensor | None = None
    share = torch.zeros(height, width, device=picture.device)
    for tile in tiles:
        rows, columns = tile.slices(given)
        done = work(picture[..., rows, columns]).to(picture.device, torch.float32)
        if total is None:
            total = torch.zeros(*done.shape[:2], height, width, device=picture.device)
        rows, columns = tile.slices(scale)
        weight = torch.outer(
            _fading(rows, height, overlap * scale), _fading(columns, width, overlap * scale)
        ).to(picture.device)
        total[..., rows, columns] += done * weight
        share[rows, columns] += weight
    assert total is not None  # there is at least one tile
    return total.div_(share)


def _fading(part: slice, side: int, overlap: int) -> Tensor:
    """The weight of each pixel of a part of a side: 1 within, falling to 0 where another part takes over."""
    position = torch.arange(part.start, part.stop) + 0.5
    if not overlap:
        return torch.ones_like(position)
    far = torch.full_like(position, float(overlap))
    before = position - part.start if part.start > 0 else far
    after = part.stop - position if part.stop < side else far
    return ((torch.minimum(before, after) - overlap / 4) / (overlap / 2)).clamp_(0, 1)
