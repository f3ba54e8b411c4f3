"""What an adapter's file asks of one layer, whatever kind it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from sfumato.models import LayerTarget

if TYPE_CHECKING:
    from torch import Tensor


class LayerChange(Protocol):
    """A change to the weight, or bias, of one layer, at strength 1; strengths scale it linearly."""

    @property
    def part(self) -> str:
        """The kind of part the layer lies in."""
        ...

    @property
    def target(self) -> LayerTarget: ...

    @property
    def parameter(self) -> str:
        """Which tensor of it: "weight" or "bias"."""
        ...

    @property
    def kind(self) -> str:
        """What it is: "lora", "loha", "dora" ..."""
        ...

    def delta(self, original: Tensor) -> Tensor:
        """What is added to the unchanged parameter, in its shape, float32, on its device.

        Args:
            original: The unchanged parameter, of a fused layer only the rows in `target`.
        """
        ...

    def low_rank(self) -> tuple[Tensor, Tensor] | None:
        """The change as ``up @ down`` with all scales in it; None where it is no plain product.

        Returns:
            down [rank, inputs] and up [outputs, rank]; a convolution's inputs are channels x height x width.
        """
        ...
