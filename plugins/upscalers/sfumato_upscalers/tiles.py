"""A picture worked on in tiles that fade into each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Tile:
    """A part of a picture; all of one layout have the same size."""

    top: int
    left: int
    height: int
    width: int


def starts(length: int, tile: int, overlap: int) -> list[int]:
    """Where tiles begin along a side; neighbours share `overlap` or more, the last one ends with the side."""
    if not 0 < tile < length:
        return [0]
    step = max(tile - overlap, 1)
    count = -(-(length - tile) // step) + 1
    return [round(i * (length - tile) / (count - 1)) for i in range(count)]


def layout(height: int, width: int, tile: int, overlap: int) -> list[Tile]:
    """The tiles of a picture, row by row; a tile of 0 is the whole side."""
    tile_height, tile_width = (min(tile, side) if tile else side for side in (height, width))
    return [
        Tile(top, left, tile_height, tile_width)
        for top in starts(height, tile, overlap)
        for left in starts(width, tile, overlap)
    ]


def blended(
    picture: Tensor, tiles: list[Tile], scale: int, overlap: int, work: Callable[[Tensor], Tensor]
) -> Tensor:
    """What `work` makes of each tile, put together; where tiles overlap, one fades into the other.

    The outer quarter of an overlap, where a network knows least of what lies around, is not used: one that
    looks no farther than that gives the same as on the whole picture.

    Args:
        picture: [b, c, h, w].
        tiles: Covering it, from `layout`.
        scale: How many times larger `work` makes a tile.
        overlap: That of the layout, in pixels of `picture`.
        work: [b, c, th, tw] to [b, d, th * scale, tw * scale].

    Returns:
        float32 [b, d, h * scale, w * scale] on the picture's device.
    """
    if len(tiles) == 1:
        return work(picture).to(picture.device, torch.float32)
    height, width = (side * scale for side in picture.shape[-2:])
    total: Tensor | None = None
    share = torch.zeros(height, width, device=picture.device)
    for tile in tiles:
        part = picture[..., tile.top : tile.top + tile.height, tile.left : tile.left + tile.width]
        done = work(part).to(picture.device, torch.float32)
        if total is None:
            total = torch.zeros(*done.shape[:2], height, width, device=picture.device)
        rows = slice(tile.top * scale, (tile.top + tile.height) * scale)
        columns = slice(tile.left * scale, (tile.left + tile.width) * scale)
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
