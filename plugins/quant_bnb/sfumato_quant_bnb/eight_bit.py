"""int8 as bitsandbytes packs and stores it (LLM.int8(), https://arxiv.org/abs/2208.07339)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from math import prod
from typing import TYPE_CHECKING

from sfumato.errors import CheckpointError
from sfumato.models import CheckpointHeader
from sfumato_quant_bnb.folding import FoldedTensors, folded
from sfumato_quant_bnb.small_tensors import read_bytes

if TYPE_CHECKING:
    from torch import Tensor

_SCALE = ".SCB"
_FORMAT = ".weight_format"


class Int8:
    """One scale for each output; fulfils `sfumato.quantisation.Quantisation`."""

    def unpacked(self, header: CheckpointHeader) -> CheckpointHeader | None:
        """The header without scales; raises `CheckpointError` where they do not fit."""
        layers = [name.removesuffix(_SCALE) for name in header.tensors if name.endswith(_SCALE)]
        for layer in layers:
            _check(header, layer)
        _check_order(header, [layer + _FORMAT for layer in layers if layer + _FORMAT in header.tensors])
        if not layers:
            return None
        names = [f"{layer}.weight" for layer in layers]
        weights = {name: replace(header.tensors[name], dtype="INT8") for name in names}
        return folded(header, weights, _beside(layers))

    def open(self, header: CheckpointHeader, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """The tensors, packed ones as weights in 8 bits."""
        from sfumato_quant_bnb.eight_bit_weight import opened

        layers = [name.removesuffix(_SCALE) for name in header.tensors if name.endswith(_SCALE)]
        makers = {f"{layer}.weight": partial(opened, tensors, layer) for layer in layers}
        return FoldedTensors(tensors, makers, _beside(layers))

    def pack(self, weight: Tensor, device: str) -> Tensor:
        """The weight with its largest number of each output as 127."""
        from sfumato_networks.stored.tensor import WeightTensor
        from sfumato_quant_bnb.eight_bit_weight import packed

        return WeightTensor(packed(weight.detach().to(device)), weight.dtype)


def _beside(layers: list[str]) -> frozenset[str]:
    return frozenset(layer + ending for layer in layers for ending in (_SCALE, _FORMAT))


def _check(header: CheckpointHeader, layer: str) -> None:
    weight, scale = header.tensors.get(f"{layer}.weight"), header.tensors[layer + _SCALE]
    if weight is None:
        raise _wrong(header, layer, "The packed weight itself is missing.")
    if weight.dtype != "I8" or len(weight.shape) < 2:
        raise _wrong(header, layer, f"It is {list(weight.shape)} as {weight.dtype}, not a matrix as I8.")
    if scale.dtype != "F32" or prod(scale.shape) != weight.shape[0]:
        found = f"{list(scale.shape)} as {scale.dtype}"
        raise _wrong(
            header, layer, f"Its {weight.shape[0]} outputs have scales {found}, not one each as F32."
        )


def _check_order(header: CheckpointHeader, names: list[str]) -> None:
    """Before version 0.45 there were orders of numbers that only some GPUs knew."""
    for name, text in zip(names, read_bytes(header, names, 8), strict=True):
        if any(text):
            raise _wrong(
                header, name.removesuffix(_FORMAT), "Its numbers are in an order that only old GPUs knew."
            )


def _wrong(header: CheckpointHeader, layer: str, why: str) -> CheckpointError:
    return CheckpointError(
        f"'{header.path.name}' cannot be used: '{layer}' is not packed as int8 should be.",
        why=why,
        hint="The file may be damaged: get it again, or ask who made it.",
    )
