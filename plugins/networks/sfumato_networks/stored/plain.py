"""Plain numbers in another type than is computed in, and fp8 with or without a scale: cast on use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor

from sfumato_networks.stored.float8 import widened
from sfumato_networks.stored.tiled_linear import tiled_linear, tiled_numbers
from sfumato_networks.stored.weight import StoredWeight


class PlainWeight(StoredWeight):
    """A tensor of any floating-point type, cast on use.

    Args:
        data: [outputs, ...].
        scale: What the numbers are multiplied by, float32: one number, or one for each output.
    """

    def __init__(self, data: Tensor, scale: Tensor | None = None) -> None:
        self.data = data
        self.scale = scale
        self.shape = data.shape

    @property
    def tensors(self) -> Sequence[Tensor]:
        return (self.data,) if self.scale is None else (self.data, self.scale)

    def with_tensors(self, tensors: Sequence[Tensor]) -> Self:
        return type(self)(*tensors)

    @property
    def kind(self) -> str:
        return str(self.data.dtype).removeprefix("torch.")

    def dequantised(self, dtype: torch.dtype) -> Tensor:
        if self.scale is None:
            return widened(self.data, dtype)
        scale = self.scale.reshape(-1, *[1] * (self.data.ndim - 1)).expand(self.shape)

        def scaled(first: int, last: int) -> Tensor:
            return widened(self.data[first:last], torch.float32) * scale[first:last]

        return tiled_numbers(self.shape, dtype, self.device, scaled)

    def rows(self, first: int, last: int) -> StoredWeight:
        scale = self.scale
        if scale is not None and scale.numel() != 1:
            scale = scale[first:last]
        return type(self)(self.data[first:last], scale)

    def linear(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """A scale is left to the product where no product without it can leave the range of its type."""
        if self.scale is not None and x.dtype == torch.float16:
            return super().linear(x, bias)

        def unscaled(first: int, last: int) -> Tensor:
            return widened(self.data[first:last], x.dtype)

        if self.scale is None:
            return tiled_linear(x, self.shape, unscaled, bias)
        product = tiled_linear(x, self.shape, unscaled, None) * self.scale.to(x.dtype)
        return product if bias is None else product + bias

    def embedding(self, ids: Tensor, dtype: torch.dtype) -> Tensor:
        if self.scale is not None and self.scale.numel() != 1:
            return super().embedding(ids, dtype)
        rows = self.data.view(torch.uint8) if self.data.dtype.itemsize == 1 else self.data
        found = rows.index_select(0, ids.reshape(-1)).view(*ids.shape, *self.shape[1:])
        return PlainWeight(found.view(self.data.dtype), self.scale).dequantised(dtype)
