"""fp8 weights, with and without scales, made and opened."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from sfumato_networks.stored.plain import PlainWeight
from sfumato_networks.stored.tensor import WeightTensor

SCALED = torch.float8_e4m3fn


def opened(tensors: Mapping[str, Tensor], weight: str, scale: str) -> Tensor:
    """The weight of that name among the tensors of a file, with the scale of that name."""
    return WeightTensor(PlainWeight(tensors[weight], tensors[scale].flatten().float()), torch.bfloat16)


def packed(weight: Tensor, dtype: str) -> PlainWeight:
    """A plain weight as fp8, on the device where it lies."""
    narrow: torch.dtype = getattr(torch, dtype)
    largest = torch.finfo(narrow).max
    return PlainWeight(weight.clamp(-largest, largest).to(narrow))


def packed_with_scales(weight: Tensor, *, one_scale: bool = False) -> PlainWeight:
    """A plain weight [outputs, ...] as fp8 with a scale for each output, or one for all."""
    plain = weight.float()
    magnitudes = plain.abs().amax().view(1) if one_scale else plain.flatten(1).abs().amax(1)
    scale = magnitudes.clamp(min=torch.finfo(torch.float32).tiny * 1024) / torch.finfo(SCALED).max
    scaled = plain / scale.view(-1, *[1] * (plain.ndim - 1))
    return PlainWeight(packed(scaled, "float8_e4m3fn").data, scale)
