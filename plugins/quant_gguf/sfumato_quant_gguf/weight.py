"""A weight in GGUF's blocks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor

from sfumato_networks.stored.weight import StoredWeight


class GgufWeight(StoredWeight):
    """A weight in blocks of one of GGUF's types.

    Args:
        packed: uint8 [bytes]: the blocks, one after another, rows before columns as in the plain weight.
        type_name: As the format calls it: "Q4_K".
        shape: Of the plain weight; a row need not be whole blocks where it has more than two dimensions.
    """

    def __init__(self, packed: Tensor, type_name: str, shape: Sequence[int]) -> None:
        self.packed = packed
        self.type_name = type_name
        self.shape = torch.Size(shape)

    @property
    def tensors(self) -> Sequence[Tensor]:
        return (self.packed,)

    def with_tensors(self, tensors: Sequence[Tensor]) -> Self:
        (packed,) = tensors
        return type(self)(packed, self.type_name, self.shape)

    @property
    def kind(self) -> str:
        return self.type_name

    def dequantised(self, dtype: torch.dtype) -> Tensor:
        raise NotImplementedError

    def rows(self, first: int, last: int) -> StoredWeight:
        raise NotImplementedError
