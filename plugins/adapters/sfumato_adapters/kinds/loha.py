"""LoHa (https://arxiv.org/abs/2108.06098): the product, value by value, of two low-rank matrices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sfumato_adapters.kinds.delta import Delta, Kind, Misfit, Shape, check_rank, check_size, has_any, need
from sfumato_adapters.kinds.scaling import Scaling
from sfumato_adapters.kinds.tucker import compose

if TYPE_CHECKING:
    from torch import Tensor

_SLOTS = ("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b", "hada_t1", "hada_t2")


@dataclass(frozen=True)
class LohaDelta(Delta):
    """``factor * first * second``, each a product of outputs [outputs, rank] and inputs [rank, inputs].

    Attributes:
        cores: Of a Tucker decomposition, where outputs are [rank, outputs] instead.
    """

    first: tuple[Tensor, Tensor]
    second: tuple[Tensor, Tensor]
    factor: float
    cores: tuple[Tensor, Tensor] | None = None

    def delta(self, original: Tensor) -> Tensor:
        pairs = [[tensor.to(original.device) for tensor in pair] for pair in (self.first, self.second)]
        if self.cores is None:
            first, second = (outputs.float() @ inputs.float() for outputs, inputs in pairs)
        else:
            cores = [core.to(original.device) for core in self.cores]
            first, second = (compose(core, *pair) for core, pair in zip(cores, pairs, strict=True))
        return (first * second).mul_(self.factor).reshape(original.shape)


def _build(tensors: Mapping[str, Tensor], shape: Shape, scaling: Scaling) -> LohaDelta:
    pairs = [
        (need(tensors, f"hada_w{n}_a", beside="hada"), need(tensors, f"hada_w{n}_b", beside="hada"))
        for n in (1, 2)
    ]
    if any(tensor.ndim != 2 for pair in pairs for tensor in pair):
        raise Misfit("its matrices have not two dimensions")
    cores = [tensors[slot] for slot in ("hada_t1", "hada_t2") if slot in tensors]
    if len(cores) == 1:
        raise Misfit("it has one of 'hada_t1' and 'hada_t2'")
    for number, (outputs, inputs) in enumerate(pairs):
        check_rank(inputs.shape[0])
        ranks = tuple(cores[number].shape[:2]) if cores else (outputs.shape[1],)
        if ranks != ((outputs.shape[0], inputs.shape[0]) if cores else (inputs.shape[0],)):
            raise Misfit("the ranks of its matrices differ")
        width = outputs.shape[1] if cores else outputs.shape[0]
        kernel = cores[number].shape[2:] if cores else ()
        check_size((width, inputs.shape[1], *kernel), shape)
    factor = scaling.factor(pairs[0][1].shape[0])
    return LohaDelta(pairs[0], pairs[1], factor, (cores[0], cores[1]) if cores else None)


LOHA = Kind(
    "loha",
    {slot: slot for slot in _SLOTS},
    has_any(*_SLOTS),
    _build,
    rank=lambda shapes: shapes["hada_w1_b"][0] if shapes.get("hada_w1_b") else None,
)
