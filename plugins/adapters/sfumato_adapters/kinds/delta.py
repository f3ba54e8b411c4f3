"""What the tensors of one layer in an adapter's file come to: a change to a weight or bias of the layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from torch import Tensor

    from sfumato_adapters.kinds.scaling import Scaling

Shape = tuple[int, ...]


class Misfit(ValueError):
    """Tensors of one layer that do not fit each other; the message says which, and why."""


class MisfitOfLayer(Misfit):
    """Tensors that fit each other, but not the model's layer of that name."""


class Delta:
    """A change at strength 1, as the adapter knows the layer."""

    reads_original: ClassVar[bool] = False
    """Whether the change depends on the values of the layer, not only on their shape."""

    def delta(self, original: Tensor) -> Tensor:
        """What is added to `original`, in its shape, float32, on its device."""
        raise NotImplementedError

    def low_rank(self) -> tuple[Tensor, Tensor] | None:
        """down [rank, inputs] and up [outputs, rank] with all scales, float32; None if it is no product."""
        return None

    def rows(self, start: int, stop: int, outputs: int) -> Delta | None:
        """The same for some of the `outputs` features; None where these cannot be told apart."""
        return None if self.reads_original else _Rows(self, start, stop, outputs)


@dataclass(frozen=True)
class _Rows(Delta):
    """Some output features of a change that knows more of them."""

    whole: Delta
    start: int
    stop: int
    outputs: int

    def delta(self, original: Tensor) -> Tensor:
        shape = (self.outputs, *original.shape[1:])
        return self.whole.delta(original.new_empty(shape))[self.start : self.stop]


@dataclass(frozen=True, eq=False)
class Kind:
    """A kind of adapter, for one parameter of a layer.

    Attributes:
        name: "lora", "loha" ...
        suffixes: What tensor names end with, and the slot that such a tensor fills.
        claims: Whether a layer with tensors of these shapes, by slot, is of this kind.
        build: Makes the change for a layer of a shape; raises `Misfit`.
        parameter: What is changed: "weight", "bias".
        rank: The rank that tensors of these shapes speak of, None where there is none.
    """

    name: str
    suffixes: Mapping[str, str]
    claims: Callable[[Mapping[str, Shape]], bool]
    build: Callable[[Mapping[str, Tensor], Shape, Scaling], Delta]
    parameter: str = "weight"
    rank: Callable[[Mapping[str, Shape]], int | None] = lambda shapes: None

    @property
    def slots(self) -> frozenset[str]:
        return frozenset(self.suffixes.values())


def has_any(*slots: str) -> Callable[[Mapping[str, Shape]], bool]:
    """Claims a layer that fills any of these slots."""
    return lambda shapes: any(slot in shapes for slot in slots)


def need(tensors: Mapping[str, Tensor], slot: str, *, beside: str) -> Tensor:
    """The tensor of a slot; raises `Misfit` where only the ones beside it are there."""
    if slot not in tensors:
        raise Misfit(f"it has '{beside}' but not '{slot}'")
    return tensors[slot]


def check_rank(rank: int) -> None:
    if rank < 1:
        raise Misfit("its rank is 0")


def check_size(found: Shape, expected: Shape, what: str = "its change") -> None:
    """Raises `Misfit` unless both have the same outputs and as many values: 1x1 kernels may be left out."""
    if prod(found) != prod(expected) or found[:1] != expected[:1]:
        raise MisfitOfLayer(f"{what} has the shape {list(found)}, the layer {list(expected)}")
