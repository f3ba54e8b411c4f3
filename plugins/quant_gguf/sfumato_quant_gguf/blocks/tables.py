"""Tables that several numbers at once are looked up in: what a look-up gives lies in one wide integer."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor


@cache
def bits_as_bytes(zero: int, one: int) -> Tensor:
    """int64 [256]: for each byte its bits from the lowest on, as eight int8 that are `zero` or `one`."""
    bits = torch.arange(256).unsqueeze(1) >> torch.arange(8) & 1
    return torch.where(bits == 1, one, zero).to(torch.int8).view(torch.int64).squeeze(1)


@cache
def nibble_pairs(values: Sequence[int]) -> tuple[Tensor, Tensor]:
    """int16 [65536] twice: for each two bytes what their low nibbles mean, and what their high ones mean.

    Args:
        values: 16 numbers of int8.
    """
    meaning = torch.tensor(values, dtype=torch.int8)
    words = torch.arange(1 << 16).unsqueeze(1) >> torch.tensor([0, 8])
    low, high = (meaning[words >> shift & 15].view(torch.int16).squeeze(1) for shift in (0, 4))
    return low, high


@cache
def half_powers_of_two() -> Tensor:
    """float32 [256]: half of what a byte means as E8M0, NaN left out."""
    exponents = torch.arange(256, dtype=torch.int32)
    bits = torch.where(exponents < 2, 0x00200000 << exponents.clamp(max=1), exponents - 1 << 23)
    return bits.to(torch.int32).view(torch.float32)


@cache
def half_unsigned_e4m3() -> Tensor:
    """float32 [256]: half of what a byte means as E4M3 without its sign; NaN means 0."""
    codes = torch.arange(256)
    exponent, mantissa = codes >> 3 & 15, (codes & 7).float()
    normal = torch.ldexp(1 + mantissa / 8, exponent - 8)
    values = torch.where(exponent == 0, mantissa * 2**-10, normal)
    values[0x7F] = 0
    return values


@cache
def grid(type_name: str) -> Tensor:
    """int8 [entries, numbers]: the grid of IQ1_S, or one of IQ2 and IQ3, as the package gguf has it."""
    import gguf.quants

    kind = getattr(gguf.quants, type_name)
    kind.init_grid()
    return torch.from_numpy(kind.grid.reshape(kind.grid_shape)).to(torch.int8)


@cache
def sign_patterns() -> Tensor:
    """int64 [256]: for each byte eight int8 that are 1, or -1 where its bit is set, the lowest bit first."""
    return bits_as_bytes(1, -1)


@cache
def even_sign_patterns() -> Tensor:
    """int64 [128]: signs for seven bits; the eighth makes their number even."""
    import gguf.quants

    codes = torch.frombuffer(bytearray(gguf.quants.IQ2_XXS.ksigns), dtype=torch.uint8)
    return sign_patterns()[codes.long()]
