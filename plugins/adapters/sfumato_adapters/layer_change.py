"""A change as the model needs it: with the rows and halves of the layer where the network keeps them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sfumato.models import LayerTarget
from sfumato_adapters.kinds.delta import Delta

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class AdaptedLayer:
    """One parameter of one layer changed; fulfils `sfumato_adapters.changes.LayerChange`."""

    part: str
    target: LayerTarget
    parameter: str
    kind: str
    change: Delta

    def delta(self, original: Tensor) -> Tensor:
        if not self.target.halves_swapped:
            return self.change.delta(original)
        return _swap_halves(self.change.delta(_swap_halves(original)))

    def low_rank(self) -> tuple[Tensor, Tensor] | None:
        product = self.change.low_rank() if self.parameter == "weight" else None
        if product is None or not self.target.halves_swapped:
            return product
        down, up = product
        return down, _swap_halves(up)


def _swap_halves(tensor: Tensor) -> Tensor:
    return tensor.roll(tensor.shape[0] // 2, 0)
