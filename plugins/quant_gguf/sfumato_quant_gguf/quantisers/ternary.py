"""Blocks of 256 numbers that are each -1, 0 or 1 times a scale: TQ1_0 and TQ2_0.

Each function takes float32 [n, 256] and gives uint8 [n, bytes], bit for bit those of `gguf.quants.quantize`.
They are made for networks trained that way; of others, little is left.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sfumato_quant_gguf.quantisers.packing import half_bytes, packed_bits, reciprocal, rounded_away


def tq2_0(blocks: Tensor) -> Tensor:
    """Two bits each, then the scale."""
    scale, digits = _digits(blocks)
    return torch.cat([packed_bits(digits.to(torch.uint8).view(-1, 2, 4, 32), 2), half_bytes(scale)], 1)


def tq1_0(blocks: Tensor) -> Tensor:
    """Five to a byte, as digits to the base of three of a fraction of 256, then the scale."""
    scale, digits = _digits(blocks)
    parts = (
        digits[:, :160].view(-1, 5, 32),
        digits[:, 160:240].view(-1, 5, 16),
        digits[:, 240:].view(-1, 4, 4),
    )
    numbers = torch.cat([_in_base_three(part) for part in parts], 1)
    fractions = (numbers * 256 + 242) // 243
    return torch.cat([fractions.to(torch.uint8), half_bytes(scale)], 1)


def _digits(blocks: Tensor) -> tuple[Tensor, Tensor]:
    """Scales [n, 1], and 0, 1 or 2 for each number, int32."""
    scale = blocks.abs().amax(1, keepdim=True)
    return scale, rounded_away(blocks * reciprocal(scale)).to(torch.int32) + 1


def _in_base_three(digits: Tensor) -> Tensor:
    """int32 [n, k, m] to [n, m]; the first is worth most, and five would fit."""
    places = torch.tensor([81, 27, 9, 3, 1][: digits.shape[1]], dtype=torch.int32, device=digits.device)
    return (digits * places.view(1, -1, 1)).sum(1, dtype=torch.int32)
