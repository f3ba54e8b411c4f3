"""A weight in blocks of 4-bit numbers that share a scale, as bitsandbytes has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from types import ModuleType
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from sfumato_networks.stored.tensor import WeightTensor
from sfumato_networks.stored.tiled_linear import tiled_linear
from sfumato_networks.stored.weight import StoredWeight
from sfumato_quant_bnb.four_bit_numbers import dequantised_blocks, dequantised_scales
from sfumato_quant_bnb.installed_library import bitsandbytes, needed
from sfumato_quant_bnb.quant_state import FourBitKind, QuantState

BLOCK_SIZE = 64
NESTED_BLOCK_SIZE_OF_KERNELS = 256
FIRST_INEXACT_BLOCK_SIZE = 2048


@dataclass(frozen=True)
class Blocks:
    """How the numbers lie in their blocks.

    Attributes:
        kind: Which 16 levels they have.
        size: Numbers that share a scale.
        nested_size: Scales that share a scale; 0 where scales are plain.
        skipped: Numbers of the first block that belong to other rows.
    """

    kind: FourBitKind
    size: int = BLOCK_SIZE
    nested_size: int = 0
    skipped: int = 0


class FourBitWeight(StoredWeight):
    """A weight in 4 bits, rows before columns, two numbers a byte, the first in the higher half.

    A block may begin in one row and end in the next.

    Args:
        packed: uint8 [bytes].
        scales: What its blocks' levels are multiplied by: float32 [blocks]; or uint8 [blocks], nested scales
            float32 [blocks of blocks], their 256 levels float32, and an offset float32 [], added to all.
        blocks: How they lie.
        shape: Of the plain weight.
    """

    def __init__(
        self, packed: Tensor, scales: Sequence[Tensor], blocks: Blocks, shape: Sequence[int]
    ) -> None:
        self.packed = packed
        self.scales = tuple(scales)
        self.blocks = blocks
        self.shape = torch.Size(shape)

    @property
    def tensors(self) -> Sequence[Tensor]:
        return (self.packed, *self.scales)

    def with_tensors(self, tensors: Sequence[Tensor]) -> Self:
        return type(self)(tensors[0], tensors[1:], self.blocks, self.shape)

    @property
    def kind(self) -> str:
        return self.blocks.kind.upper()

    def dequantised(self, dtype: torch.dtype) -> Tensor:
        size = self.blocks.size
        library = bitsandbytes() if self._has_kernels() and 2 * len(self.packed) % size == 0 else None
        if library is None:
            flat = dequantised_blocks(self.packed, self.plain_scales(), self.blocks.kind, size, dtype)
        else:  # a block a row: where rows are no whole blocks, its kernels for processors are wrong
            state = self._library_state(library, dtype, (2 * len(self.packed) // size, size))
            flat = library.functional.dequantize_4bit(self.packed.view(-1, 1), state).view(-1)
        return flat[self.blocks.skipped :][: self.numel].view(self.shape)

    def plain_scales(self) -> Tensor:
        """float32 [blocks]."""
        return dequantised_scales(self.scales, self.blocks.nested_size)

    def rows(self, first: int, last: int) -> StoredWeight:
        """Those rows in the blocks that they touch: no number is converted."""
        row, size = prod(self.shape[1:]), self.blocks.size
        begin, end = self.blocks.skipped + first * row, self.blocks.skipped + last * row
        block, past = begin // size, -(-end // size)
        packed = self.packed[block * size // 2 : min(past * size // 2, len(self.packed))]
        scales, nested_size = self._scales_of(block, past)
        blocks = replace(self.blocks, nested_size=nested_size, skipped=begin - block * size)
        return type(self)(packed, scales, blocks, (last - first, *self.shape[1:]))

    def _scales_of(self, first: int, last: int) -> tuple[Sequence[Tensor], int]:
        """Those of some blocks; nested ones become plain unless they begin where a nested block does."""
        nested_size = self.blocks.nested_size
        if nested_size and first % nested_size == 0:
            own, outer, codes, offset = self.scales
            outer = outer[first // nested_size : -(-last // nested_size)]
            return (own[first:last], outer, codes, offset), nested_size
        return (self.plain_scales()[first:last],), 0

    def linear(self, x: Tensor, bias: Tensor | None) -> Tensor:
        if x.device.type == "cpu":
            return tiled_linear(
                x, self.shape, lambda first, last: self.rows(first, last).dequantised(x.dtype), bias
            )
        whole = not self.blocks.skipped and self.shape[-1] % self.blocks.size == 0
        library = bitsandbytes() if whole and self._has_kernels() else None
        if library is None:
            return F.linear(x, self.dequantised(x.dtype), bias)
        state = self._library_state(library, x.dtype, self.shape)
        product: Tensor = library.matmul_4bit(x, self.packed.view(-1, 1), state, bias=bias)
        return product

    def embedding(self, ids: Tensor, dtype: torch.dtype) -> Tensor:
        """Only the rows asked for are dequantised where rows are whole blocks."""
        row = prod(self.shape[1:])
        if row % self.blocks.size or self.blocks.skipped:
            return super().embedding(ids, dtype)
        wanted = ids.flatten()
        packed = self.packed.view(self.shape[0], row // 2)[wanted].flatten()
        scales = self.plain_scales().view(self.shape[0], -1)[wanted].flatten()
        found = dequantised_blocks(packed, scales, self.blocks.kind, self.blocks.size, dtype)
        return found.view(*ids.shape, *self.shape[1:])

    def _has_kernels(self) -> bool:
        """Whether bitsandbytes' kernels know blocks of such sizes, there where they lie."""
        return (
            self.blocks.nested_size in (0, NESTED_BLOCK_SIZE_OF_KERNELS)
            and self.blocks.size < FIRST_INEXACT_BLOCK_SIZE
            and self.packed.device.type in ("cpu", "cuda")
            and self.numel > 0
        )

    def _library_state(self, library: ModuleType, dtype: torch.dtype, shape: Sequence[int]) -> Any:
        """What bitsandbytes wants to know of it, as a weight of that shape."""
        make = library.functional.QuantState
        own, *nested = self.scales
        fields = {"shape": torch.Size(shape), "blocksize": self.blocks.size, "quant_type": self.blocks.kind}
        if not nested:
            return make(absmax=own, dtype=dtype, **fields)
        scales, codes, offset = nested
        inner = make(absmax=scales, blocksize=self.blocks.nested_size, code=codes, dtype=torch.float32)
        return make(absmax=own, dtype=dtype, offset=offset, state2=inner, **fields)


def opened(tensors: Mapping[str, Tensor], name: str, kind: FourBitKind, state: QuantState) -> Tensor:
    """The packed weight of that name among the tensors of a file, which fit the state."""
    scales = [tensors[f"{name}.absmax"].flatten()]
    if state.nested_block_size:
        scales += [tensors[f"{name}.{ending}"].flatten() for ending in ("nested_absmax", "nested_quant_map")]
        scales.append(torch.tensor(state.nested_offset))
    packed = tensors[name].flatten().view(torch.uint8)
    blocks = Blocks(kind, state.block_size, state.nested_block_size)
    return WeightTensor(
        FourBitWeight(packed, scales, blocks, state.shape), getattr(torch, state.original_type)
    )


def packed(weight: Tensor, kind: FourBitKind, library: ModuleType | None = None) -> FourBitWeight:
    """A plain weight in blocks of 64, on the device where it lies.

    Raises:
        SfumatoError: bitsandbytes is absent.
    """
    library = needed(library or bitsandbytes(), kind.upper())
    plain = weight if weight.dtype in (torch.float32, torch.float16, torch.bfloat16) else weight.float()
    numbers, state = library.functional.quantize_4bit(
        plain.contiguous(), blocksize=BLOCK_SIZE, quant_type=kind
    )
    return FourBitWeight(numbers.flatten(), (state.absmax,), Blocks(kind), weight.shape)
