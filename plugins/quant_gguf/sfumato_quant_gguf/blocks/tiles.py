"""Tiles that are kept for the next weight."""

from __future__ import annotations

import threading
from collections.abc import Mapping

import torch
from torch import Tensor

from sfumato_quant_gguf.blocks import four_bit_tables, grid_types, k_types, legacy, ternary
from sfumato_quant_gguf.blocks.layout import block_type
from sfumato_quant_gguf.blocks.tile import Tile

_KINDS: Mapping[str, type[Tile]] = {
    kind.name: kind
    for kind in (
        *(legacy.Q4_0, legacy.Q4_1, legacy.Q5_0, legacy.Q5_1, legacy.Q8_0),
        *(k_types.Q2_K, k_types.Q3_K, k_types.Q4_K, k_types.Q5_K, k_types.Q6_K),
        *(grid_types.IQ1_S, grid_types.IQ1_M, grid_types.IQ2_XXS, grid_types.IQ2_XS, grid_types.IQ2_S),
        *(grid_types.IQ3_XXS, grid_types.IQ3_S, four_bit_tables.IQ4_NL, four_bit_tables.IQ4_XS),
        *(ternary.TQ1_0, ternary.TQ2_0, four_bit_tables.MXFP4, four_bit_tables.NVFP4),
    )
}
_NUMBERS_FOR_A_THREAD = 1 << 19  # fewer cost calls, more cost cache
_MOST_NUMBERS = 1 << 21
_NUMBERS_ELSEWHERE = 1 << 22  # a GPU wants long runs
_MOST_BYTES = 12 << 20


class _Kept(threading.local):
    """What one thread keeps."""

    def __init__(self) -> None:
        self.tiles: dict[str, Tile] = {}
        self.bytes = torch.empty(0, dtype=torch.uint8)


class Tiles:
    """The tiles that one thread after another takes weights apart with; each thread has its own.

    Their buffers are 5 MB for each type of block and thread, and 3 MB for rows that were made plain. Taking
    that much from the system anew for each weight costs as long as a fifth of the work; so who holds many
    weights, an open file, keeps one of these for them all, and the buffers go when the weights do. On a GPU
    nothing is kept: torch keeps its memory.
    """

    def __init__(self) -> None:
        self._own = _Kept()

    def __reduce__(self) -> tuple[type[Tiles], tuple[()]]:
        return Tiles, ()  # a weight that is copied or saved takes no buffers along

    def tile_for(self, type_name: str, blocks: int, device: torch.device) -> Tile:
        """A tile for a weight of so many blocks: as many, or fewer where that is enough for a step."""
        most = _tile_numbers(device) // block_type(type_name).block_size
        if blocks < most or device.type != "cpu":
            return _KINDS[type_name](min(blocks, most), device)
        kept = self._own.tiles
        tile = kept.get(type_name)
        if tile is None or tile.blocks != most:  # the number of torch's threads is another one
            with torch.inference_mode(False):  # it serves work in that mode and out of it
                tile = kept[type_name] = _KINDS[type_name](most, device)
        return tile

    def plain(self, rows: int, columns: int, dtype: torch.dtype) -> Tensor:
        """[rows, columns] on the CPU, with anything in it; kept unless rows are uncommonly long."""
        size = rows * columns * dtype.itemsize
        if size > _MOST_BYTES:
            return torch.empty(rows, columns, dtype=dtype)
        if self._own.bytes.numel() < size:
            with torch.inference_mode(False):
                self._own.bytes = torch.empty(size, dtype=torch.uint8)
        return self._own.bytes[:size].view(dtype).view(rows, columns)


def _tile_numbers(device: torch.device) -> int:
    if device.type != "cpu":
        return _NUMBERS_ELSEWHERE
    return min(_NUMBERS_FOR_A_THREAD * torch.get_num_threads(), _MOST_NUMBERS)
