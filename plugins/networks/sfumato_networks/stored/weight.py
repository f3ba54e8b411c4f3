"""A weight in the form that it is stored in, and the operators that work on that form."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from math import prod
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor


class StoredWeight(ABC):
    """A weight of a linear layer, embedding or convolution; never written to.

    A quantisation says what its numbers are; where it has a faster way for an operator than through plain
    numbers, it overrides that operator, too.

    Attributes:
        shape: Of the plain weight: outputs first.
    """

    shape: torch.Size

    @property
    @abstractmethod
    def tensors(self) -> Sequence[Tensor]:
        """What it is stored in, packed data first; all on one device."""

    @abstractmethod
    def with_tensors(self, tensors: Sequence[Tensor]) -> Self:
        """The same weight stored in these, which have the same content, perhaps on another device."""

    @abstractmethod
    def dequantised(self, dtype: torch.dtype) -> Tensor:
        """Its plain numbers, of `shape`, on its device: a new tensor, or one that nobody writes to."""

    @abstractmethod
    def rows(self, first: int, last: int) -> StoredWeight:
        """Those outputs alone, not dequantised where the form allows."""

    @property
    def kind(self) -> str:
        """What it is called where memory is told of: "Q4_K", "NF4" ..."""
        return type(self).__name__

    @property
    def device(self) -> torch.device:
        return self.tensors[0].device

    @property
    def nbytes(self) -> int:
        return sum(tensor.nbytes for tensor in self.tensors)

    @property
    def numel(self) -> int:
        return prod(self.shape)

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> Self:
        """The same weight on that device, in the same form."""
        return self.with_tensors([tensor.to(device, non_blocking=non_blocking) for tensor in self.tensors])

    def linear(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """``x W^T + bias`` for x [..., inputs] of a floating-point type; gives [..., outputs] of it."""
        return F.linear(x, self.dequantised(x.dtype), bias)

    def embedding(self, ids: Tensor, dtype: torch.dtype) -> Tensor:
        """The rows with these numbers, [*ids.shape, inputs]."""
        return F.embedding(ids, self.dequantised(dtype))
