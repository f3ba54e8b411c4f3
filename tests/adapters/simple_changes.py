"""Changes of layers made of plain tensors, and the sums that they must come to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sfumato.models import LayerTarget
from sfumato_adapters.stacks import Piece

LAYER = LayerTarget("layer")


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@dataclass(frozen=True)
class Product:
    """``up @ down``; fulfils `sfumato_adapters.changes.LayerChange`."""

    down: Tensor
    up: Tensor
    target: LayerTarget = LAYER
    part: str = "transformer"
    parameter: str = "weight"
    kind: str = "lora"

    def delta(self, original: Tensor) -> Tensor:
        return (self.up.double() @ self.down.double()).float().view(original.shape)

    def low_rank(self) -> tuple[Tensor, Tensor] | None:
        return self.down, self.up


@dataclass(frozen=True)
class Share:
    """A share of the original itself: no product."""

    share: float
    target: LayerTarget = LAYER
    part: str = "transformer"
    parameter: str = "weight"
    kind: str = "ia3"

    def delta(self, original: Tensor) -> Tensor:
        return original.float() * self.share

    def low_rank(self) -> tuple[Tensor, Tensor] | None:
        return None


def product(
    outputs: int, inputs: int, rank: int = 3, seed: int = 1, rows: tuple[int, int] | None = None
) -> Product:
    """A random change to so many outputs."""
    return Product(
        normal(rank, inputs, seed=seed) / inputs**0.5,
        normal(outputs, rank, seed=seed + 100) / rank**0.5,
        LayerTarget("layer", rows),
    )


def pieces_of(*changes: Product | Share, ranks: int | None = None) -> list[Piece]:
    """Each in a slot of its own."""
    return [Piece(change, slot, 1.0, ranks, (slot, id(change))) for slot, change in enumerate(changes)]


def summed(weight: Tensor, changes: Sequence[Product | Share], strengths: Sequence[float]) -> Tensor:
    """The weight with all changes, in float64."""
    total = weight.double()
    for change, strength in zip(changes, strengths, strict=True):
        start, end = change.target.rows or (0, len(weight))
        total[start:end] += strength * change.delta(weight[start:end]).double()
    return total
