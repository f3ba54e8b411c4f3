"""Plain numbers of quantised weights kept from one step to the next, up to a limit of bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self
from weakref import WeakSet

import torch
import torch.nn.functional as F
from torch import Tensor

from sfumato_networks.stored.weight import StoredWeight

FEW_TOKENS = 16
"""Up to so many, computing with the blocks themselves reads less memory than plain numbers would."""


class NumbersKept:
    """Who may keep plain numbers, and how many bytes are left for more.

    The first to be used are kept, and none gives way: a network uses its weights in turn, and a store that
    dropped what was used longest ago would drop each weight just before it is wanted again.

    Args:
        limit: Bytes.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self._keepers: WeakSet[CachedWeight] = WeakSet()

    def admits(self, keeper: CachedWeight, size: int) -> bool:
        """Whether so many bytes more may be kept; if so, they are taken."""
        if self.used + size > self.limit:
            return False
        self.used += size
        self._keepers.add(keeper)
        return True

    def limit_to(self, limit: int) -> None:
        """From now on so many bytes; what is kept beyond is let go of."""
        self.limit = limit
        for keeper in list(self._keepers) if self.used > limit else ():
            if self.used > limit:
                self._keepers.discard(keeper)
                keeper.forget()

    def give_back(self, size: int) -> None:
        self.used -= size


class CachedWeight(StoredWeight):
    """A quantised weight whose plain numbers are kept after their first use, where there is room.

    Args:
        inner: The weight.
        kept: Says whether there is room.
    """

    def __init__(self, inner: StoredWeight, kept: NumbersKept) -> None:
        self.inner = inner
        self.shape = inner.shape
        self._kept = kept
        self._numbers: Tensor | None = None

    def __del__(self) -> None:
        self.forget()

    def __reduce__(self) -> tuple[Any, ...]:
        return _itself, (self.inner,)  # elsewhere nothing is kept

    def forget(self) -> None:
        """Its plain numbers are let go of."""
        if self._numbers is not None:
            self._kept.give_back(self._numbers.nbytes)
            self._numbers = None

    @property
    def tensors(self) -> Sequence[Tensor]:
        return self.inner.tensors

    def with_tensors(self, tensors: Sequence[Tensor]) -> Self:
        return type(self)(self.inner.with_tensors(tensors), self._kept)

    @property
    def kind(self) -> str:
        return self.inner.kind

    @property
    def nbytes(self) -> int:
        return self.inner.nbytes + (self._numbers.nbytes if self._numbers is not None else 0)

    def dequantised(self, dtype: torch.dtype) -> Tensor:
        kept = self._numbers
        return kept if kept is not None and kept.dtype == dtype else self.inner.dequantised(dtype)

    def rows(self, first: int, last: int) -> StoredWeight:
        return self.inner.rows(first, last)

    def linear(self, x: Tensor, bias: Tensor | None) -> Tensor:
        if x.numel() <= FEW_TOKENS * x.shape[-1]:
            return self.inner.linear(x, bias)
        numbers = self._plain(x.dtype)
        return self.inner.linear(x, bias) if numbers is None else F.linear(x, numbers, bias)

    def embedding(self, ids: Tensor, dtype: torch.dtype) -> Tensor:
        return self.inner.embedding(ids, dtype)

    def _plain(self, dtype: torch.dtype) -> Tensor | None:
        """The numbers, kept from now on; None where there is no room, or they are kept in another type."""
        if self._numbers is None and self._kept.admits(self, self.numel * dtype.itemsize):
            self._numbers = self.inner.dequantised(dtype)
        return self._numbers if self._numbers is not None and self._numbers.dtype == dtype else None


def _itself(weight: StoredWeight) -> StoredWeight:
    return weight
