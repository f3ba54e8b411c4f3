"""Weights put one below the other, each in its own form: q, k and v of a fused layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor

from sfumato_networks.stored.weight import StoredWeight


class StackedWeight(StoredWeight):
    """The outputs of several weights one after another; they may be stored in different forms.

    Args:
        parts: With the same shape but for their outputs.

    Raises:
        ValueError: their shapes do not fit.
    """

    def __init__(self, parts: Sequence[StoredWeight]) -> None:
        flat = [
            inner for part in parts for inner in (part.parts if isinstance(part, StackedWeight) else [part])
        ]
        if any(part.shape[1:] != flat[0].shape[1:] for part in flat):
            raise ValueError(f"weights of {[list(part.shape) for part in flat]} cannot be stacked")
        self.parts: tuple[StoredWeight, ...] = tuple(flat)
        self.shape = torch.Size((sum(part.shape[0] for part in flat), *flat[0].shape[1:]))

    @property
    def tensors(self) -> Sequence[Tensor]:
        return [tensor for part in self.parts for tensor in part.tensors]

    def with_tensors(self, tensors: Sequence[Tensor]) -> Self:
        left = list(tensors)
        parts = []
        for part in self.parts:
            count = len(part.tensors)
            parts.append(part.with_tensors(left[:count]))
            left = left[count:]
        return type(self)(parts)

    @property
    def kind(self) -> str:
        return "+".join(dict.fromkeys(part.kind for part in self.parts))

    def dequantised(self, dtype: torch.dtype) -> Tensor:
        return torch.cat([part.dequantised(dtype) for part in self.parts])

    def rows(self, first: int, last: int) -> StoredWeight:
        found, start = [], 0
        for part in self.parts:
            end = start + part.shape[0]
            if start < last and first < end:
                found.append(part.rows(max(first - start, 0), min(last, end) - start))
            start = end
        if not found:
            return self.parts[0].rows(0, 0)
        return found[0] if len(found) == 1 else StackedWeight(found)

    def linear(self, x: Tensor, bias: Tensor | None) -> Tensor:
        biases: Sequence[Tensor | None] = [None] * len(self.parts)
        if bias is not None:
            biases = bias.split([part.shape[0] for part in self.parts])
        products = [part.linear(x, own) for part, own in zip(self.parts, biases, strict=True)]
        return torch.cat(products, dim=-1)
