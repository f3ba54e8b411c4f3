"""How strongly a layer's change was trained: alpha, and its relation to the rank."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING

from sfumato_adapters.kinds.delta import Misfit

if TYPE_CHECKING:
    from torch import Tensor

SUFFIXES = {"alpha": "alpha", "scale": "scale", "scalar": "scalar"}
"""Single numbers that layers of several kinds have."""


@dataclass(frozen=True)
class Scaling:
    """The numbers that scale a layer's change.

    Attributes:
        alpha: The change is multiplied by alpha / rank; None means that alpha is the rank.
        scale: Takes the place of alpha / rank.
        scalar: Multiplied in addition (LyCORIS).
        rank_stabilised: alpha / sqrt(rank) instead (rsLoRA, https://arxiv.org/abs/2312.03732).
    """

    alpha: float | None = None
    scale: float | None = None
    scalar: float = 1.0
    rank_stabilised: bool = False

    def factor(self, rank: int | None) -> float:
        """What a change of this rank is multiplied by; without a rank, alpha means nothing."""
        if self.scale is not None:
            return self.scale * self.scalar
        if self.alpha is None or rank is None:
            return self.scalar
        return self.alpha / (sqrt(rank) if self.rank_stabilised else rank) * self.scalar


@dataclass(frozen=True)
class TrainedScale:
    """What an adapter's metadata says of the scale of a layer that has no alpha of its own."""

    alpha: float | None = None
    rank_stabilised: bool = False


def read_scaling(tensors: Mapping[str, Tensor], trained: TrainedScale) -> Scaling:
    """From the tensors of a layer by slot, then from the metadata.

    Raises:
        Misfit: one of them is not a single number.
    """
    numbers = {slot: _number(slot, tensors[slot]) for slot in SUFFIXES if slot in tensors}
    return Scaling(
        alpha=numbers.get("alpha", trained.alpha),
        scale=numbers.get("scale"),
        scalar=numbers.get("scalar", 1.0),
        rank_stabilised=trained.rank_stabilised,
    )


def _number(slot: str, tensor: Tensor) -> float:
    if tensor.numel() != 1:
        raise Misfit(f"'{slot}' has the shape {list(tensor.shape)} and should be one number")
    return float(tensor)
