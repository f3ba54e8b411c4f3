"""A weight in GGUF's blocks."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Self

import torch
from torch import Tensor

from sfumato_networks.stored.plain import PlainWeight
from sfumato_networks.stored.weight import StoredWeight
from sfumato_quant_gguf.blocks.layout import block_type
from sfumato_quant_gguf.blocks.tiles import Tiles
from sfumato_quant_gguf.dequantise import dequantise
from sfumato_quant_gguf.linear import linear


class GgufWeight(StoredWeight):
    """A weight in blocks of one of GGUF's types.

    Args:
        packed: uint8 [bytes]: the blocks, one after another, rows before columns as in the plain weight.
        type_name: As the format calls it: "Q4_K".
        shape: Of the plain weight; a row need not be whole blocks where it has more than two dimensions.
        tiles: What keeps the buffers that taking blocks apart takes; weights of one file share it. By
            default buffers are made and dropped.
    """

    def __init__(
        self, packed: Tensor, type_name: str, shape: Sequence[int], tiles: Tiles | None = None
    ) -> None:
        self.packed = packed
        self.type_name = type_name
        self.shape = torch.Size(shape)
        self.tiles = tiles

    @property
    def tensors(self) -> Sequence[Tensor]:
        return (self.packed,)

    def with_tensors(self, tensors: Sequence[Tensor]) -> Self:
        (packed,) = tensors
        return type(self)(packed, self.type_name, self.shape, self.tiles)

    @property
    def kind(self) -> str:
        return self.type_name

    @property
    def row_numbers(self) -> int:
        """Numbers that make one output."""
        return prod(self.shape[1:])

    def dequantised(self, dtype: torch.dtype) -> Tensor:
        return self._numbers(self.packed, dtype).view(self.shape)

    def rows(self, first: int, last: int) -> StoredWeight:
        layout, shape = block_type(self.type_name), torch.Size((last - first, *self.shape[1:]))
        start, end = first * self.row_numbers, last * self.row_numbers
        first_block, last_block = start // layout.block_size, -(-end // layout.block_size)
        packed = self.packed.view(-1)[first_block * layout.block_bytes : last_block * layout.block_bytes]
        if start % layout.block_size == 0 and end % layout.block_size == 0:
            return type(self)(packed, self.type_name, shape, self.tiles)
        numbers = self._numbers(packed, torch.float32)
        skipped = start - first_block * layout.block_size
        return PlainWeight(numbers[skipped : skipped + shape.numel()].view(shape))

    def linear(self, x: Tensor, bias: Tensor | None) -> Tensor:
        return linear(self, x, bias)

    def embedding(self, ids: Tensor, dtype: torch.dtype) -> Tensor:
        if self.row_numbers % block_type(self.type_name).block_size:
            return super().embedding(ids, dtype)
        packed = self.packed.view(self.shape[0], -1).index_select(0, ids.reshape(-1).to(self.device))
        return self._numbers(packed, dtype).view(*ids.shape, *self.shape[1:])

    def _numbers(self, packed: Tensor, dtype: torch.dtype) -> Tensor:
        return dequantise(packed, self.type_name, dtype, tiles=self.tiles)
