"""Tensors of a network that a file stores in pieces, or with halves the other way round. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Source:
    """Which stored tensors, stacked along their rows, make up one tensor."""

    names: tuple[str, ...]
    halves_swapped: bool = False

    def shape(self, stored: Mapping[str, Shape]) -> Shape:
        """The shape of what is made of tensors of these; ValueError names one that cannot be stacked."""
        first = stored[self.names[0]]
        if len(self.names) == 1:
            return first
        for name in self.names:
            if not stored[name] or stored[name][1:] != first[1:]:
                raise ValueError(f"tensor '{name}' has the shape {list(stored[name])} beside {list(first)}")
        return (sum(stored[name][0] for name in self.names), *first[1:])

    def make(self, stored: Mapping[str, Tensor]) -> Tensor:
        """The stored tensor itself where it is a single one, otherwise a copy."""
        import torch

        parts = [stored[name] for name in self.names]
        if self.halves_swapped:
            parts = list(reversed(parts[0].chunk(2)))
        return parts[0] if len(parts) == 1 else torch.cat(parts)


class MadeTensors(Mapping[str, "Tensor"]):
    """Tensors under the network's names, each made of stored ones when asked for, and not kept."""

    def __init__(self, stored: Mapping[str, Tensor], sources: Mapping[str, Source]) -> None:
        self._stored = stored
        self._sources = sources

    def __getitem__(self, name: str) -> Tensor:
        return self._sources[name].make(self._stored)

    def __iter__(self) -> Iterator[str]:
        return iter(self._sources)

    def __len__(self) -> int:
        return len(self._sources)
