"""Numbers of four bits that are places in a table of values: IQ4_NL, IQ4_XS and MXFP4."""

from __future__ import annotations

import torch
from torch import Tensor

from sfumato_quant_gguf.quantisers.fitting import WholeTable, fit_table
from sfumato_quant_gguf.quantisers.packing import as_stored, half_bytes, packed_bits, reciprocal

_VALUES = (-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113)
"""Denser where weights are: about those of the format's own table."""
_TRIES = tuple(float(step) for step in range(-12, 13, 6))
_MX_VALUES = (0, 1, 2, 3, 4, 6, 8, 12)


def iq4_nl(blocks: Tensor) -> Tensor:
    """float32 [n, 32] to a scale and 32 of four bits, uint8 [n, 18]."""
    table = WholeTable(_VALUES, blocks.device)
    scale = as_stored(fit_table(blocks, table, _TRIES))
    places = table.places(blocks, reciprocal(scale))
    return torch.cat([half_bytes(scale), packed_bits(places.view(-1, 1, 2, 16), 4)], 1)


def iq4_xs(blocks: Tensor) -> Tensor:
    """float32 [n, 256] in 8 groups with scales of six bits, 32 for zero: uint8 [n, 136]."""
    table = WholeTable(_VALUES, blocks.device)
    values = blocks.view(-1, 8, 32)
    fine = fit_table(values, table, _TRIES)
    largest = fine.gather(1, fine.abs().argmax(1, keepdim=True)).squeeze(1)
    scale = as_stored(largest / -32)
    scales = (fine * reciprocal(scale)[:, None]).round_().clamp_(-32, 31)
    places = table.places(values, reciprocal(scale[:, None] * scales))
    stored = (scales + 32).to(torch.uint8)
    high = packed_bits((stored >> 4).view(-1, 2, 4, 1), 2)
    low = packed_bits((stored & 15).view(-1, 4, 2, 1), 4)
    return torch.cat([half_bytes(scale), high, low, packed_bits(places.view(-1, 8, 2, 16), 4)], 1)


def mxfp4(blocks: Tensor) -> Tensor:
    """float32 [n, 32] to a power of two and 32 of four bits with two of them an exponent: uint8 [n, 17].

    OCP Microscaling Formats (MX) 1.0; bit for bit as `gguf.quants.quantize`.
    """
    largest = blocks.abs().amax(1, keepdim=True)
    exponent = torch.where(largest > 0, largest.log2().floor() + 125, 0.0).clamp(0, 255)
    half_scale = torch.exp2(exponent.double() - 128).float()
    sizes = torch.tensor(_MX_VALUES, dtype=torch.float32, device=blocks.device)
    values = torch.cat([sizes, -sizes])
    places = (half_scale[..., None] * values - blocks[..., None]).abs().argmin(-1).to(torch.uint8)
    return torch.cat([exponent.to(torch.uint8), packed_bits(places.view(-1, 1, 2, 16), 4)], 1)
