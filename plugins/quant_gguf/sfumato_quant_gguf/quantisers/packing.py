"""Small numbers into bytes, in the orders that GGUF's types have."""

from __future__ import annotations

import torch
from torch import Tensor


def half_bytes(values: Tensor) -> Tensor:
    """float32 [n] or [n, 1] as the bytes of float16: uint8 [n, 2]."""
    return values.reshape(-1, 1).half().view(torch.uint8)


def as_stored(values: Tensor) -> Tensor:
    """float32 as it is after it was stored as float16."""
    return values.half().float()


def packed_bits(values: Tensor, bits: int) -> Tensor:
    """uint8 [n, groups, k, m] to [n, groups * m]: k numbers share a byte, the first in the lowest bits."""
    packed = torch.zeros_like(values[:, :, 0])
    for place in range(values.shape[2]):
        packed |= values[:, :, place] << (bits * place)
    return packed.flatten(1)


def reciprocal(values: Tensor) -> Tensor:
    """1 / values; 0 where they are."""
    return torch.where(values == 0, 0.0, 1.0 / values)


def rounded_away(values: Tensor) -> Tensor:
    """To whole numbers; halves away from zero, as C's roundf."""
    size = values.abs()
    whole = size.floor()
    return values.sign() * (whole + (2 * (size - whole)).floor())
