"""Blocks of 256 in 8 or 16 groups, whose scales are small whole numbers times one of the block: Q2_K to Q6_K.

Each function takes float32 [n, 256] and gives uint8 [n, bytes].
"""

from __future__ import annotations

import torch
from torch import Tensor

from sfumato_quant_gguf.quantisers.fitting import fit_affine, fit_symmetric
from sfumato_quant_gguf.quantisers.packing import as_stored, half_bytes, packed_bits, reciprocal


def q2_k(blocks: Tensor) -> Tensor:
    """16 groups: scales and offsets of four bits, numbers of two."""
    scale, offset, scales, offsets, whole = _affine(blocks, groups=16, levels=3, largest_scale=15)
    packed = packed_bits(whole.view(-1, 2, 4, 32), 2)
    return torch.cat([scales | (offsets << 4), packed, half_bytes(scale), half_bytes(offset)], 1)


def q4_k(blocks: Tensor) -> Tensor:
    """8 groups: scales and offsets of six bits, numbers of four."""
    scale, offset, scales, offsets, whole = _affine(blocks, groups=8, levels=15, largest_scale=63)
    packed = packed_bits(whole.view(-1, 4, 2, 32), 4)
    return torch.cat([half_bytes(scale), half_bytes(offset), _six_bits(scales, offsets), packed], 1)


def q5_k(blocks: Tensor) -> Tensor:
    """8 groups: scales and offsets of six bits, numbers of five."""
    scale, offset, scales, offsets, whole = _affine(blocks, groups=8, levels=31, largest_scale=63)
    fifth = packed_bits((whole >> 4).view(-1, 1, 8, 32), 1)
    packed = packed_bits((whole & 15).view(-1, 4, 2, 32), 4)
    return torch.cat([half_bytes(scale), half_bytes(offset), _six_bits(scales, offsets), fifth, packed], 1)


def q3_k(blocks: Tensor) -> Tensor:
    """16 groups: scales of six bits, 32 for zero, numbers of three."""
    scale, scales, whole = _symmetric(blocks, levels=4, largest_scale=32)
    scales = (scales + 32).to(torch.uint8)
    low = packed_bits((scales & 15).view(-1, 1, 2, 8), 4)
    high = packed_bits((scales >> 4).view(-1, 1, 4, 4), 2)
    third = packed_bits((whole >> 2).view(-1, 1, 8, 32), 1)
    packed = packed_bits((whole & 3).view(-1, 2, 4, 32), 2)
    return torch.cat([third, packed, low, high, half_bytes(scale)], 1)


def q6_k(blocks: Tensor) -> Tensor:
    """16 groups: scales of eight bits with sign, numbers of six."""
    scale, scales, whole = _symmetric(blocks, levels=32, largest_scale=128)
    low = packed_bits((whole & 15).view(-1, 2, 2, 64), 4)
    high = packed_bits((whole >> 4).view(-1, 2, 4, 32), 2)
    return torch.cat([low, high, scales.to(torch.int8).view(torch.uint8), half_bytes(scale)], 1)


def _affine(
    blocks: Tensor, *, groups: int, levels: int, largest_scale: int
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The block's two scales [n], those of its groups [n, groups], and whole numbers [n, 256]."""
    values = blocks.view(len(blocks), groups, -1)
    fine_scales, fine_offsets = fit_affine(values, levels)
    scale = as_stored(fine_scales.amax(1) / largest_scale)
    offset = as_stored(fine_offsets.amax(1) / largest_scale)
    scales = (fine_scales * reciprocal(scale)[:, None]).round_().clamp_(0, largest_scale)
    offsets = (fine_offsets * reciprocal(offset)[:, None]).round_().clamp_(0, largest_scale)
    scales, offsets = _refined(values, scale, offset, scales, offsets, levels, largest_scale)
    whole = _whole(values, scale[:, None] * scales, offset[:, None] * offsets, levels)
    return scale, offset, scales.to(torch.uint8), offsets.to(torch.uint8), whole.to(torch.uint8).flatten(1)


def _refined(
    values: Tensor,
    scale: Tensor,
    offset: Tensor,
    scales: Tensor,
    offsets: Tensor,
    levels: int,
    largest: int,
) -> tuple[Tensor, Tensor]:
    """Rounding both scales on their own is not best for the two together: the neighbours are tried."""
    best = scales, offsets
    least = torch.full_like(scales, torch.inf)
    for more in (0, -1, 1):
        for further in (0, -1, 1):
            tried = (scales + more).clamp_(0, largest), (offsets + further).clamp_(0, largest)
            step, below = (scale[:, None] * tried[0])[..., None], (offset[:, None] * tried[1])[..., None]
            whole = _whole(values, step.squeeze(-1), below.squeeze(-1), levels)
            error = (whole.mul_(step).sub_(below).sub_(values)).square_().sum(-1)
            better = error < least
            least = torch.where(better, error, least)
            best = torch.where(better, tried[0], best[0]), torch.where(better, tried[1], best[1])
    return best


def _whole(values: Tensor, steps: Tensor, below: Tensor, levels: int) -> Tensor:
    return ((values + below[..., None]) * reciprocal(steps)[..., None]).round_().clamp_(0, levels)


def _symmetric(blocks: Tensor, *, levels: int, largest_scale: int) -> tuple[Tensor, Tensor, Tensor]:
    """The block's scale [n], those of its 16 groups [n, 16], and whole numbers from 0 up [n, 256]."""
    values = blocks.view(len(blocks), 16, 16)
    fine = fit_symmetric(values, levels)
    largest = fine.gather(1, fine.abs().argmax(1, keepdim=True)).squeeze(1)
    scale = as_stored(largest / -largest_scale)  # that side has one level more
    scales = (fine * reciprocal(scale)[:, None]).round_().clamp_(-largest_scale, largest_scale - 1)
    steps = scale[:, None] * scales
    whole = (values * reciprocal(steps)[..., None]).round_().clamp_(-levels, levels - 1)
    return scale, scales, (whole + levels).to(torch.uint8).flatten(1)


def _six_bits(scales: Tensor, offsets: Tensor) -> Tensor:
    """8 scales and 8 offsets of six bits in 12 bytes: the upper two of the last four lie above the first."""
    first, last = scales[:, :4], scales[:, 4:]
    first_offsets, last_offsets = offsets[:, :4], offsets[:, 4:]
    return torch.cat(
        [
            first | ((last >> 4) << 6),
            first_offsets | ((last_offsets >> 4) << 6),
            (last & 15) | ((last_offsets & 15) << 4),
        ],
        1,
    )
