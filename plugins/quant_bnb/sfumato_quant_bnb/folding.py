"""A header with packed weights folded away, and the tensors that belong to it. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from sfumato.models import CheckpointHeader, TensorInfo

if TYPE_CHECKING:
    from torch import Tensor


def folded(
    header: CheckpointHeader, weights: Mapping[str, TensorInfo], beside: frozenset[str]
) -> CheckpointHeader:
    """The header with these weights as they are unpacked, and without the tensors beside them."""
    tensors = {name: weights.get(name, info) for name, info in header.tensors.items() if name not in beside}
    return replace(header, tensors=tensors)


class FoldedTensors(Mapping[str, "Tensor"]):
    """Tensors by the names of a folded header; each is made when asked for.

    Args:
        tensors: As the file has them.
        makers: What makes a packed weight, by its name.
        beside: Names that are no longer there.
    """

    def __init__(
        self,
        tensors: Mapping[str, Tensor],
        makers: Mapping[str, Callable[[], Tensor]],
        beside: frozenset[str],
    ) -> None:
        self._tensors = tensors
        self._makers = makers
        self._beside = beside

    def __getitem__(self, name: str) -> Tensor:
        if name in self._beside:
            raise KeyError(name)
        maker = self._makers.get(name)
        return self._tensors[name] if maker is None else maker()

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._tensors if name not in self._beside)

    def __len__(self) -> int:
        return sum(1 for _ in self)
