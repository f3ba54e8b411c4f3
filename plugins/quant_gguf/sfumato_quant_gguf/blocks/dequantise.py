"""Blocks of any of GGUF's types as plain numbers, tile by tile."""

from __future__ import annotations

import torch
from torch import Tensor

from sfumato_quant_gguf.blocks.layout import block_type
from sfumato_quant_gguf.blocks.tiles import Tiles


def dequantise(
    packed: Tensor,
    type_name: str,
    dtype: torch.dtype,
    out: Tensor | None = None,
    tiles: Tiles | None = None,
) -> Tensor:
    """Blocks as plain numbers.

    Args:
        packed: uint8, contiguous: whole blocks one after another, on any device.
        type_name: As the format calls it: "Q4_K".
        dtype: A floating-point type; numbers are float32 rounded to the nearest, ties to even.
        out: Where they go, contiguous, of that type and on that device; by default a new tensor.
        tiles: What keeps the buffers for the next call; by default they are made and dropped.

    Returns:
        [numbers], or `out`.

    Raises:
        CheckpointError: the type cannot be dequantised.
        ValueError: `packed` is not whole blocks, or `out` does not fit.
    """
    layout = block_type(type_name)
    if packed.numel() % layout.block_bytes:
        raise ValueError(f"{packed.numel()} bytes are not whole blocks of {type_name}")
    blocks = packed.reshape(-1, layout.block_bytes)
    count = len(blocks)
    if out is None:
        out = torch.empty(count * layout.block_size, dtype=dtype, device=packed.device)
    if out.numel() != count * layout.block_size or out.dtype != dtype:
        raise ValueError(f"{count} blocks of {type_name} do not fit into {list(out.shape)}, {out.dtype}")
    if count == 0:
        return out
    places = out.view(count, layout.block_size)
    tile = (tiles or Tiles()).tile_for(type_name, count, packed.device)
    for first in range(0, count, tile.blocks):
        start = min(first, count - tile.blocks)  # the last tile repeats a part of the one before
        tile.packed.copy_(blocks[start : start + tile.blocks])
        tile.unpack()
        places[start : start + tile.blocks].copy_(tile.numbers)
    return out
