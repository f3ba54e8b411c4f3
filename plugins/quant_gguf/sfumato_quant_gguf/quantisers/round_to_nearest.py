"""Blocks of 32 whose scale follows from their largest number: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0.

Each function takes float32 [n, 32] and gives uint8 [n, bytes], bit for bit those of `gguf.quants.quantize`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sfumato_quant_gguf.quantisers.packing import half_bytes, packed_bits, reciprocal, rounded_away


def q8_0(blocks: Tensor) -> Tensor:
    """A scale, then 32 whole numbers in -127..127."""
    scale = blocks.abs().amax(1, keepdim=True) / 127
    whole = rounded_away(blocks * reciprocal(scale)).to(torch.int8)
    return torch.cat([half_bytes(scale), whole.view(torch.uint8)], 1)


def q4_0(blocks: Tensor) -> Tensor:
    """A scale, then 32 of four bits, 8 for zero."""
    scale, whole = _from_largest(blocks, 8)
    return torch.cat([half_bytes(scale), _nibbles(whole)], 1)


def q5_0(blocks: Tensor) -> Tensor:
    """A scale, the fifth bits, then the other four; 16 for zero."""
    scale, whole = _from_largest(blocks, 16)
    return torch.cat([half_bytes(scale), _fifth_bits(whole), _nibbles(whole)], 1)


def q4_1(blocks: Tensor) -> Tensor:
    """A scale and a minimum, then 32 of four bits."""
    scale, minimum, whole = _from_range(blocks, 15)
    return torch.cat([half_bytes(scale), half_bytes(minimum), _nibbles(whole)], 1)


def q5_1(blocks: Tensor) -> Tensor:
    """A scale and a minimum, the fifth bits, then the other four."""
    scale, minimum, whole = _from_range(blocks, 31)
    return torch.cat([half_bytes(scale), half_bytes(minimum), _fifth_bits(whole), _nibbles(whole)], 1)


def _from_largest(blocks: Tensor, zero: int) -> tuple[Tensor, Tensor]:
    """The largest number in size becomes the lowest level, -zero: there are more of them on that side."""
    largest = blocks.gather(1, blocks.abs().argmax(1, keepdim=True))
    scale = largest / -zero
    whole = (blocks * reciprocal(scale) + (zero + 0.5)).trunc()
    return scale, whole.clamp(0, 2 * zero - 1).to(torch.uint8)


def _from_range(blocks: Tensor, levels: int) -> tuple[Tensor, Tensor, Tensor]:
    minimum = blocks.amin(1, keepdim=True)
    scale = (blocks.amax(1, keepdim=True) - minimum) / levels
    whole = ((blocks - minimum) * reciprocal(scale) + 0.5).trunc()
    return scale, minimum, whole.clamp(0, levels).to(torch.uint8)


def _nibbles(whole: Tensor) -> Tensor:
    return packed_bits((whole & 15).view(-1, 1, 2, 16), 4)


def _fifth_bits(whole: Tensor) -> Tensor:
    """Bit i of four bytes together is that of number i."""
    return packed_bits((whole >> 4).view(-1, 4, 8, 1), 1)
