"""GLoRA (https://arxiv.org/abs/2306.07967) as LyCORIS has it: ``W a1 a2 + b1 b2``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, ClassVar

from sfumato_adapters.kinds.delta import Delta, Kind, Misfit, MisfitOfLayer, Shape, has_any, need
from sfumato_adapters.kinds.lora import LoraDelta, product
from sfumato_adapters.kinds.scaling import Scaling

if TYPE_CHECKING:
    from torch import Tensor

_SLOTS = ("a1", "a2", "b1", "b2", "bm")


@dataclass(frozen=True)
class GloraDelta(Delta):
    """``factor * (W left right) + product``: the inputs of the weight mixed, and a LoRA.

    Attributes:
        left: [inputs, rank].
        right: [rank, inputs].
    """

    reads_original: ClassVar[bool] = True
    left: Tensor
    right: Tensor
    factor: float
    product: LoraDelta

    def delta(self, original: Tensor) -> Tensor:
        left, right = (tensor.to(original.device).float().flatten(1) for tensor in (self.left, self.right))
        mixed = (original.float().movedim(1, -1) @ left @ right).movedim(-1, 1)
        return mixed * self.factor + self.product.delta(original)

    def rows(self, start: int, stop: int, outputs: int) -> GloraDelta:
        product = self.product.rows(start, stop, outputs)
        return GloraDelta(self.left, self.right, self.factor, product)


def _build(tensors: Mapping[str, Tensor], shape: Shape, scaling: Scaling) -> GloraDelta:
    a1, a2, b1, b2 = (need(tensors, slot, beside="glora") for slot in ("a1", "a2", "b1", "b2"))
    if any(tensor.ndim < 2 for tensor in (a1, a2, b1, b2)) or len(shape) < 2:
        raise Misfit("its matrices have fewer than two dimensions")
    if _is_transposed(a1, a2, b1, b2, shape[1]):
        a1, a2, b1, b2 = a2, a1, b2, b1
    if not a1.shape[1] == a2.shape[0] == b2.shape[0] == b1.shape[1]:
        raise Misfit("the ranks of its matrices differ")
    if (a1.shape[0], a2.shape[1]) != (shape[1], shape[1]) or prod((*a1.shape[2:], *a2.shape[2:])) != 1:
        sizes = [list(tensor.shape) for tensor in (a1, a2)]
        raise MisfitOfLayer(f"its matrices have the shapes {sizes}, the layer reads {shape[1]} features")
    factor = scaling.factor(a2.shape[0])
    return GloraDelta(a1, a2, factor, product(b2, b1, tensors.get("bm"), shape, factor))


def _is_transposed(a1: Tensor, a2: Tensor, b1: Tensor, b2: Tensor, inputs: int) -> bool:
    """Whether down comes before up, as in the first versions of LyCORIS."""
    rank = a1.shape[0]
    return a1.shape[1] == a2.shape[0] == inputs != rank and rank == a2.shape[1] == b1.shape[0] == b2.shape[1]


GLORA = Kind(
    "glora",
    {f"{slot}.weight": slot for slot in _SLOTS},
    has_any(*_SLOTS),
    _build,
    rank=lambda shapes: min(shapes["a2"][:2]) if shapes.get("a2") else None,
)
