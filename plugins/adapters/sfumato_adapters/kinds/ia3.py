"""IA3 (https://arxiv.org/abs/2205.05638): one factor for each output or input of a layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from sfumato_adapters.kinds.delta import Delta, Kind, MisfitOfLayer, Shape, has_any, need
from sfumato_adapters.kinds.scaling import Scaling

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Ia3Delta(Delta):
    """``(factors - neutral) * W`` along the axis of outputs (0) or inputs (1).

    Attributes:
        neutral: The factor that changes nothing: 0 in LyCORIS, 1 in PEFT.
    """

    reads_original: ClassVar[bool] = True
    factors: Tensor
    axis: int
    neutral: float

    def delta(self, original: Tensor) -> Tensor:
        shape = [1] * original.ndim
        shape[self.axis] = -1
        return original.float() * (self.factors.to(original.device).float().reshape(shape) - self.neutral)

    def rows(self, start: int, stop: int, outputs: int) -> Ia3Delta:
        factors = self.factors.flatten()
        return Ia3Delta(factors[start:stop] if self.axis == 0 else factors, self.axis, self.neutral)


def _build(tensors: Mapping[str, Tensor], shape: Shape, scaling: Scaling) -> Ia3Delta:
    factors = need(tensors, "weight", beside="on_input")
    return _checked(Ia3Delta(factors, int(bool(tensors["on_input"].any())), 0.0), shape)


def _build_peft(tensors: Mapping[str, Tensor], shape: Shape, scaling: Scaling) -> Ia3Delta:
    factors = tensors["ia3_l"]
    of_inputs = factors.ndim > 1 and factors.shape[0] == 1
    return _checked(Ia3Delta(factors, int(of_inputs), 1.0), shape)


def _checked(change: Ia3Delta, shape: Shape) -> Ia3Delta:
    if len(shape) < 2 or change.factors.numel() != shape[change.axis]:
        found = list(change.factors.shape)
        raise MisfitOfLayer(f"its factors have the shape {found}, the layer {list(shape)}")
    return change


IA3 = Kind("ia3", {"weight": "weight", "on_input": "on_input"}, has_any("on_input"), _build)
IA3_PEFT = Kind("ia3", {"ia3_l": "ia3_l"}, has_any("ia3_l"), _build_peft)
