"""Weights that stay off the device and come to it when they are used, the next one ahead of its turn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor

from sfumato_networks.stored.transfer import Arriving, Transfer
from sfumato_networks.stored.weight import StoredWeight

MOST_ROWS_PICKED = 4096
"""Tokens up to which rows of an embedding are picked where they are kept, not the whole table brought."""


class WeightStream:
    """Brings the weights of one network to the device in the order of their use.

    The order is learned while it is used: whoever came after a weight last time is fetched while that weight
    is computed with. So two weights are on the device at once, the one in use and the next.
    """

    def __init__(self, transfer: Transfer) -> None:
        self._transfer = transfer
        self._next: dict[StreamedWeight, StreamedWeight] = {}
        self._last: StreamedWeight | None = None
        self._arriving: dict[StreamedWeight, Arriving] = {}

    @property
    def is_ahead(self) -> bool:
        """Whether a second weight is on the device beside the one in use."""
        return self._transfer.is_ahead

    def take(self, weight: StreamedWeight) -> StoredWeight:
        """The weight on the device, for one operator."""
        arriving = self._arriving.pop(weight, None) or self._transfer.fetch(weight.home)
        self._arriving.clear()  # what was fetched for another order than that of now
        if self._last is not None:
            self._next[self._last] = weight
        self._last = weight
        follower = self._next.get(weight)
        if self._transfer.is_ahead and follower is not None and follower is not weight:
            self._arriving[follower] = self._transfer.fetch(follower.home)
        return arriving.wait()

    def pause(self) -> None:
        """Let go of what was fetched ahead: the network is not used for now."""
        self._arriving.clear()
        self._last = None


class StreamedWeight(StoredWeight):
    """A weight that is kept in one place and used in another.

    Args:
        home: The weight where it is kept, as a rule in a mapped file.
        stream: Brings it.
    """

    def __init__(self, home: StoredWeight, stream: WeightStream) -> None:
        self.home = home
        self.shape = home.shape
        self._stream = stream

    @property
    def tensors(self) -> Sequence[Tensor]:
        return self.home.tensors

    def with_tensors(self, tensors: Sequence[Tensor]) -> Self:
        return type(self)(self.home.with_tensors(tensors), self._stream)

    @property
    def kind(self) -> str:
        return f"{self.home.kind}, streamed"

    def dequantised(self, dtype: torch.dtype) -> Tensor:
        return self._stream.take(self).dequantised(dtype)

    def rows(self, first: int, last: int) -> StoredWeight:
        return type(self)(self.home.rows(first, last), self._stream)

    def linear(self, x: Tensor, bias: Tensor | None) -> Tensor:
        return self._stream.take(self).linear(x, bias)

    def embedding(self, ids: Tensor, dtype: torch.dtype) -> Tensor:
        if ids.numel() > MOST_ROWS_PICKED:
            return self._stream.take(self).embedding(ids, dtype)
        return self.home.embedding(ids.to(self.home.device), dtype).to(ids.device)
