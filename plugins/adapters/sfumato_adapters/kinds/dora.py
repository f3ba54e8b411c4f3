"""DoRA (https://arxiv.org/abs/2402.09353): the changed weight has lengths of its own, by output or input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from sfumato_adapters.kinds.delta import Delta, MisfitOfLayer, Shape

if TYPE_CHECKING:
    from torch import Tensor

SUFFIXES = {
    "dora_scale": "dora_scale",
    "lora_magnitude_vector": "dora_magnitude",
    "lora_magnitude_vector.weight": "dora_magnitude",
}
SLOTS = frozenset(SUFFIXES.values())


@dataclass(frozen=True)
class DoraDelta(Delta):
    """``magnitude * (W + change) / |W + change| - W``, lengths along all axes but one.

    Attributes:
        magnitude: One number for each output (axis 0) or input (axis 1).
    """

    reads_original: ClassVar[bool] = True
    direction: Delta
    magnitude: Tensor
    axis: int

    def delta(self, original: Tensor) -> Tensor:
        import torch

        weight = original.float()
        changed = weight + self.direction.delta(original)
        others = [dimension for dimension in range(changed.ndim) if dimension != self.axis]
        lengths = torch.linalg.vector_norm(changed, dim=others, keepdim=True)
        magnitude = self.magnitude.to(original.device).float().reshape(lengths.shape)
        return changed * (magnitude / (lengths + torch.finfo(torch.float32).eps)) - weight

    def rows(self, start: int, stop: int, outputs: int) -> Delta | None:
        direction = self.direction.rows(start, stop, outputs)
        if direction is None or self.axis != 0:
            return None
        return DoraDelta(direction, self.magnitude.flatten()[start:stop], 0)


def decomposed(direction: Delta, tensors: Mapping[str, Tensor], shape: Shape) -> Delta:
    """The change with the lengths stored beside it, if there are any.

    LyCORIS stores them as [outputs, 1 ...] or, in its earlier versions, [1, inputs, 1 ...]; those of PEFT are
    always of outputs.

    Raises:
        MisfitOfLayer: they are neither of the layer's outputs nor of its inputs.
    """
    if "dora_magnitude" in tensors:
        magnitude, axis = tensors["dora_magnitude"], 0
    elif "dora_scale" in tensors:
        magnitude = tensors["dora_scale"]
        axis = 1 if magnitude.ndim > 1 and magnitude.shape[0] == 1 and shape[0] != 1 else 0
    else:
        return direction
    if len(shape) < 2 or magnitude.numel() != shape[axis]:
        raise MisfitOfLayer(f"its lengths have the shape {list(magnitude.shape)}, the layer {list(shape)}")
    return DoraDelta(direction, magnitude, axis)
