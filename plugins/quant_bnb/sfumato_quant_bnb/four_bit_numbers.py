"""NF4 and FP4 made plain numbers by torch alone, on any device.

The levels are those of https://arxiv.org/abs/2305.14314 (appendix E) and of bitsandbytes' FP4, whose largest
is 1; numbers are a level times the scale of its block.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from sfumato_quant_bnb.quant_state import FourBitKind

_FP4 = (0.0, 0.0625, 8.0, 12.0, 4.0, 6.0, 2.0, 3.0)
"""Times 12, by the three bits without the sign."""
_LEVELS: Mapping[FourBitKind, tuple[float, ...]] = {
    "nf4": (
        -1.0,
        -0.6961928009986877,
        -0.5250730514526367,
        -0.39491748809814453,
        -0.28444138169288635,
        -0.18477343022823334,
        -0.09105003625154495,
        0.0,
        0.07958029955625534,
        0.16093020141124725,
        0.24611230194568634,
        0.33791524171829224,
        0.44070982933044434,
        0.5626170039176941,
        0.7229568362236023,
        1.0,
    ),
    "fp4": (*(level / 12 for level in _FP4), *(-level / 12 for level in _FP4)),
}
_TILE = 1 << 20
"""Numbers made at once: what is needed beside the result stays small, and in a processor's cache."""


def levels(kind: FourBitKind, device: torch.device) -> Tensor:
    """float32 [16], by the four bits."""
    return torch.tensor(_LEVELS[kind], dtype=torch.float32, device=device)


def dequantised_blocks(
    packed: Tensor, scales: Tensor, kind: FourBitKind, block_size: int, dtype: torch.dtype
) -> Tensor:
    """The numbers [2 * bytes] of packed blocks, of which the last one may be cut short.

    Args:
        packed: uint8 [bytes].
        scales: float32 [blocks].
    """
    sixteen = levels(kind, packed.device)
    pairs = torch.stack((sixteen.repeat_interleave(16), sixteen.repeat(16)), dim=1)  # by the byte
    numbers = torch.empty(2 * len(packed), dtype=dtype, device=packed.device)
    tile = _TILE // block_size * block_size
    for start in range(0, len(numbers), tile):
        part = numbers[start : start + tile]
        plain = pairs.index_select(0, packed[start // 2 : start // 2 + tile // 2].int()).view(-1)
        own = scales[start // block_size : -(-(start + len(part)) // block_size)]
        whole = len(part) // block_size
        blocks = plain[: whole * block_size].view(whole, block_size)
        part[: whole * block_size].view(whole, block_size).copy_(blocks.mul_(own[:whole, None]))
        part[whole * block_size :] = plain[whole * block_size :] * own[whole:]
    return numbers


def dequantised_scales(scales: Sequence[Tensor], nested_size: int) -> Tensor:
    """The scales of blocks, float32 [blocks], from what they are stored in (see `FourBitWeight`)."""
    own, *nested = scales
    if not nested:
        return own
    outer, codes, offset = nested
    return codes[own.int()] * outer.repeat_interleave(nested_size)[: len(own)] + offset
