"""LoKr (https://arxiv.org/abs/2309.14859): the Kronecker product of a small and a larger matrix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from sfumato_adapters.kinds.delta import Delta, Kind, Misfit, Shape, check_rank, check_size, has_any, need
from sfumato_adapters.kinds.scaling import Scaling
from sfumato_adapters.kinds.tucker import compose

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_SLOTS = ("lokr_w1", "lokr_w1_a", "lokr_w1_b", "lokr_w2", "lokr_w2_a", "lokr_w2_b", "lokr_t2")


@dataclass(frozen=True)
class Factor:
    """A matrix: one tensor [outputs, inputs, ...], two [outputs, rank] and [rank, inputs], or with a core."""

    tensors: tuple[Tensor, ...]

    def matrix(self, device: torch.device) -> Tensor:
        """[outputs, inputs x kernel], float32."""
        moved = [tensor.to(device) for tensor in self.tensors]
        if len(moved) == 1:
            return moved[0].float().flatten(1)
        if len(moved) == 2:
            return moved[0].float() @ moved[1].float()
        return compose(moved[2], moved[0], moved[1]).flatten(1)

    @property
    def shape(self) -> tuple[int, int]:
        """Outputs, and inputs x kernel."""
        if len(self.tensors) == 1:
            return self.tensors[0].shape[0], prod(self.tensors[0].shape[1:])
        outputs, inputs = self.tensors[:2]
        if len(self.tensors) == 2:
            return outputs.shape[0], inputs.shape[1]
        return outputs.shape[1], inputs.shape[1] * prod(self.tensors[2].shape[2:])

    @property
    def rank(self) -> int | None:
        return self.tensors[1].shape[0] if len(self.tensors) > 1 else None


@dataclass(frozen=True)
class LokrDelta(Delta):
    """``factor * small (x) large``."""

    small: Factor
    large: Factor
    factor: float

    def delta(self, original: Tensor) -> Tensor:
        import torch

        small, large = (factor.matrix(original.device) for factor in (self.small, self.large))
        return torch.kron(small * self.factor, large).reshape(original.shape)


def _factor(tensors: Mapping[str, Tensor], name: str, core: str | None) -> Factor:
    if name in tensors:
        if tensors[name].ndim < 2:
            raise Misfit(f"'{name}' has fewer than two dimensions")
        return Factor((tensors[name],))
    pair = tuple(need(tensors, f"{name}_{letter}", beside="lokr") for letter in "ab")
    found = Factor((*pair, tensors[core]) if core and core in tensors else pair)
    if any(tensor.ndim != 2 for tensor in pair):
        raise Misfit(f"the matrices of '{name}' have not two dimensions")
    check_rank(pair[1].shape[0])
    outer = pair[0].shape[0 if len(found.tensors) == 3 else 1]
    inner = tuple(found.tensors[2].shape[:2]) if len(found.tensors) == 3 else (pair[1].shape[0],) * 2
    if (outer, pair[1].shape[0]) != inner:
        raise Misfit(f"the ranks of the matrices of '{name}' differ")
    return found


def _build(tensors: Mapping[str, Tensor], shape: Shape, scaling: Scaling) -> LokrDelta:
    small, large = _factor(tensors, "lokr_w1", None), _factor(tensors, "lokr_w2", "lokr_t2")
    outputs, inputs = (a * b for a, b in zip(small.shape, large.shape, strict=True))
    check_size((outputs, inputs), shape)
    rank = small.rank if small.rank is not None else large.rank
    return LokrDelta(small, large, scaling.factor(rank))


LOKR = Kind(
    "lokr",
    {slot: slot for slot in _SLOTS},
    has_any(*_SLOTS),
    _build,
    rank=lambda shapes: next((shapes[s][0] for s in ("lokr_w1_b", "lokr_w2_b") if shapes.get(s)), None),
)
