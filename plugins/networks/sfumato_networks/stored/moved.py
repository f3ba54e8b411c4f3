"""Networks of others' making, whose weights come and go all at once."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sfumato_networks.stored.cached import NumbersKept
from sfumato_networks.stored.transfer import Transfer


class MovedNetwork:
    """A network that lies on the device as a whole, or beside it; it cannot be computed with there.

    Args:
        network: Not loaded by `sfumato_networks.weights.load_network`.
        device: A torch device name.
    """

    is_streamed = can_stream = False

    def __init__(self, network: nn.Module, device: str) -> None:
        self.device = torch.device(device)
        self._network = network

    @property
    def total(self) -> int:
        """Bytes on the device; 0 on a CPU, where it lies anyway."""
        return 0 if self.device.type == "cpu" else sum(tensor.nbytes for tensor in self._tensors())

    @property
    def resident(self) -> int:
        return sum(tensor.nbytes for tensor in self._tensors()) if self._is_there else 0

    @property
    def fixed_bytes(self) -> int:
        return 0

    def passing(self, budget: int) -> int:
        """No weight of it comes in passing."""
        return 0

    def through(self, transfer: Transfer, *, own_memory: bool = False) -> None:
        """It comes by torch's own way."""

    def keep_numbers(self, kept: NumbersKept) -> None:
        """None of its weights is quantised by us."""

    def changes_with(self, budget: int) -> bool:
        return (budget >= self.total) is not self._is_there

    def place(self, budget: int) -> int:
        """Move it to the device if it fits into so many bytes, away from it otherwise."""
        if self.changes_with(budget):
            self._network.to(self.device if budget >= self.total else "cpu")
        return self.resident

    def rest(self) -> None:
        """Nothing of it is fetched ahead."""

    @property
    def _is_there(self) -> bool:
        return all(tensor.device.type == self.device.type for tensor in self._tensors())

    def _tensors(self) -> list[Tensor]:
        return [*self._network.parameters(), *self._network.buffers()]
