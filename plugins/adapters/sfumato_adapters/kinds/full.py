"""Changes stored as they are: differences of weights, biases and norms, and values that take their place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from sfumato_adapters.kinds.delta import Delta, Kind, Shape, check_size, has_any
from sfumato_adapters.kinds.scaling import Scaling

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Difference(Delta):
    """``factor * difference``, in the shape of the parameter."""

    difference: Tensor
    factor: float = 1.0

    def delta(self, original: Tensor) -> Tensor:
        return self.difference.to(original.device).float().reshape(original.shape) * self.factor


@dataclass(frozen=True)
class Replacement(Delta):
    """A value that takes the place of the parameter."""

    reads_original: ClassVar[bool] = True
    value: Tensor

    def delta(self, original: Tensor) -> Tensor:
        return self.value.to(original.device).float().reshape(original.shape) - original.float()


def _difference(slot: str) -> Callable[[Mapping[str, Tensor], Shape, Scaling], Delta]:
    def build(tensors: Mapping[str, Tensor], shape: Shape, scaling: Scaling) -> Delta:
        check_size(tuple(tensors[slot].shape), shape, f"'{slot}'")
        return Difference(tensors[slot], scaling.factor(None))

    return build


def _replacement(slot: str) -> Callable[[Mapping[str, Tensor], Shape, Scaling], Delta]:
    def build(tensors: Mapping[str, Tensor], shape: Shape, scaling: Scaling) -> Delta:
        check_size(tuple(tensors[slot].shape), shape, f"'{slot}'")
        return Replacement(tensors[slot])

    return build


FULL = Kind("full", {"diff": "diff"}, has_any("diff"), _difference("diff"))
FULL_BIAS = Kind("full", {"diff_b": "diff_b"}, has_any("diff_b"), _difference("diff_b"), parameter="bias")
NORM = Kind("norm", {"w_norm": "w_norm"}, has_any("w_norm"), _difference("w_norm"))
NORM_BIAS = Kind("norm", {"b_norm": "b_norm"}, has_any("b_norm"), _difference("b_norm"), parameter="bias")
SET = Kind("set", {"set_weight": "set_weight"}, has_any("set_weight"), _replacement("set_weight"))
KEPT = Kind(
    "set",
    {"weight": "weight"},
    lambda shapes: "weight" in shapes and "on_input" not in shapes,
    _replacement("weight"),
)
"""A layer that was trained as a whole beside LoRA on others."""
KEPT_BIAS = Kind("set", {"bias": "bias"}, has_any("bias"), _replacement("bias"), parameter="bias")
