"""A weight in 8 bits with a scale for each output, as bitsandbytes' int8 has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor

from sfumato_networks.stored.tensor import WeightTensor
from sfumato_networks.stored.tiled_linear import tiled_linear, tiled_numbers
from sfumato_networks.stored.weight import StoredWeight

LARGEST = 127.0


class EightBitWeight(StoredWeight):
    """Numbers are ``packed * largest / 127``.

    Args:
        packed: int8, of the weight's shape.
        largest: float32 [outputs], the largest magnitude of each output.
    """

    def __init__(self, packed: Tensor, largest: Tensor) -> None:
        self.packed = packed
        self.largest = largest
        self.shape = packed.shape

    @property
    def tensors(self) -> Sequence[Tensor]:
        return (self.packed, self.largest)

    def with_tensors(self, tensors: Sequence[Tensor]) -> Self:
        return type(self)(*tensors)

    @property
    def kind(self) -> str:
        return "int8"

    def dequantised(self, dtype: torch.dtype) -> Tensor:
        scale = (self.largest / LARGEST).view(-1, *[1] * (self.packed.ndim - 1))
        return tiled_numbers(
            self.shape, dtype, self.device, lambda first, last: self.packed[first:last] * scale[first:last]
        )

    def rows(self, first: int, last: int) -> StoredWeight:
        return type(self)(self.packed[first:last], self.largest[first:last])

    def linear(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """Scales are left to the product: bfloat16 and float32 hold all numbers of 8 bits as they are.

        Signals are not quantised as LLM.int8() does: of pictures that costs more than it gains.
        """
        if x.dtype == torch.float16:  # where products of such large numbers may leave the range
            return F.linear(x, self.dequantised(x.dtype), bias)
        unscaled = tiled_linear(x, self.shape, lambda first, last: self.packed[first:last].to(x.dtype), None)
        product = unscaled * (self.largest / LARGEST).to(x.dtype)
        return product if bias is None else product + bias

    def embedding(self, ids: Tensor, dtype: torch.dtype) -> Tensor:
        scale = (self.largest / LARGEST)[ids].view(*ids.shape, *[1] * (self.packed.ndim - 1))
        return (self.packed[ids] * scale).to(dtype)


def opened(tensors: Mapping[str, Tensor], layer: str) -> Tensor:
    """The packed weight of that layer among the tensors of a file."""
    stored = EightBitWeight(tensors[f"{layer}.weight"], tensors[f"{layer}.SCB"].flatten())
    return WeightTensor(stored, torch.bfloat16)


def packed(weight: Tensor) -> EightBitWeight:
    """A plain weight [outputs, ...], on the device where it lies."""
    plain = weight.float()
    largest = plain.flatten(1).abs().amax(1)
    scale = LARGEST / largest.clamp(min=torch.finfo(torch.float32).tiny)
    numbers = (plain * scale.view(-1, *[1] * (plain.ndim - 1))).round_().clamp_(-LARGEST, LARGEST)
    return EightBitWeight(numbers.to(torch.int8), largest)
