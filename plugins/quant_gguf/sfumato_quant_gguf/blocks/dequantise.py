"""Blocks of any of GGUF's types as plain numbers, tile by tile."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from sfumato_quant_gguf.blocks import four_bit_tables, grid_types, k_types, large_pages, legacy, ternary
from sfumato_quant_gguf.blocks.layout import block_type
from sfumato_quant_gguf.blocks.tile import Tile

_TILES: Mapping[str, type[Tile]] = {
    tile.name: tile
    for tile in (
        *(legacy.Q4_0, legacy.Q4_1, legacy.Q5_0, legacy.Q5_1, legacy.Q8_0),
        *(k_types.Q2_K, k_types.Q3_K, k_types.Q4_K, k_types.Q5_K, k_types.Q6_K),
        *(grid_types.IQ1_S, grid_types.IQ1_M, grid_types.IQ2_XXS, grid_types.IQ2_XS, grid_types.IQ2_S),
        *(grid_types.IQ3_XXS, grid_types.IQ3_S, four_bit_tables.IQ4_NL, four_bit_tables.IQ4_XS),
        *(ternary.TQ1_0, ternary.TQ2_0, four_bit_tables.MXFP4, four_bit_tables.NVFP4),
    )
}
_NUMBERS_OF_A_TILE = 1 << 18  # for one thread: its buffers lie in a second-level cache
_NUMBERS_ELSEWHERE = 1 << 22  # a GPU wants long runs


def dequantise(packed: Tensor, type_name: str, dtype: torch.dtype, out: Tensor | None = None) -> Tensor:
    """Blocks as plain numbers.

    The buffers of a tile are made for each call and serve all tiles of it: they are small next to a weight,
    and nothing is shared between threads.

    Args:
        packed: uint8, contiguous: whole blocks one after another, on any device.
        type_name: As the format calls it: "Q4_K".
        dtype: A floating-point type; numbers are float32 rounded to the nearest, ties to even.
        out: Where they go, contiguous, of that type and on that device; by default a new tensor.

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
        out = large_pages.empty(count * layout.block_size, dtype, packed.device)
    if out.numel() != count * layout.block_size or out.dtype != dtype:
        raise ValueError(f"{count} blocks of {type_name} do not fit into {list(out.shape)}, {out.dtype}")
    places = out.view(count, layout.block_size)
    if count == 0:
        return out
    step = min(count, _tile_numbers(packed.device) // layout.block_size)
    tile = _TILES[type_name](step, packed.device)
    for first in range(0, count, step):
        start = min(first, count - step)  # the last tile repeats a part of the one before
        tile.packed.copy_(blocks[start : start + step])
        tile.unpack()
        places[start : start + step].copy_(tile.numbers)
    return out


def _tile_numbers(device: torch.device) -> int:
    return _NUMBERS_OF_A_TILE * torch.get_num_threads() if device.type == "cpu" else _NUMBERS_ELSEWHERE
