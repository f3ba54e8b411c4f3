"""NF4 and FP4 as bitsandbytes packs and stores them (https://arxiv.org/abs/2305.14314)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from sfumato.models import CheckpointHeader
from sfumato_quant_bnb.folding import FoldedTensors, folded
from sfumato_quant_bnb.quant_state import FourBitKind, QuantState, mark_of, read_quant_states

if TYPE_CHECKING:
    from torch import Tensor

_BESIDE = (".absmax", ".quant_map", ".nested_absmax", ".nested_quant_map")


class _FourBit:
    """Fulfils `sfumato.quantisation.Quantisation`."""

    kind: FourBitKind

    def unpacked(self, header: CheckpointHeader) -> CheckpointHeader | None:
        """The header with plain shapes; raises `CheckpointError` for what is not packed as it says."""
        states = read_quant_states(header, self.kind)
        if not states:
            return None
        weights = {
            name: replace(header.tensors[name], dtype=self.kind.upper(), shape=state.shape)
            for name, state in states.items()
        }
        return folded(header, weights, self._beside(states))

    def open(self, header: CheckpointHeader, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """The tensors, packed ones as weights in 4 bits."""
        from sfumato_quant_bnb.four_bit_weight import opened

        states = read_quant_states(header, self.kind)
        makers = {name: partial(opened, tensors, name, self.kind, state) for name, state in states.items()}
        return FoldedTensors(tensors, makers, self._beside(states))

    def pack(self, weight: Tensor, device: str) -> Tensor:
        """The weight in blocks of 64 numbers; raises `SfumatoError` where bitsandbytes is absent."""
        from sfumato_networks.stored.tensor import WeightTensor
        from sfumato_quant_bnb.four_bit_weight import packed

        return WeightTensor(packed(weight.detach().to(device), self.kind), weight.dtype)

    def _beside(self, states: Mapping[str, QuantState]) -> frozenset[str]:
        endings = (*_BESIDE, mark_of(self.kind))
        return frozenset(name + ending for name in states for ending in endings)


class Nf4(_FourBit):
    """16 levels where numbers spread as a bell curve does lie densest."""

    kind: FourBitKind = "nf4"


class Fp4(_FourBit):
    """Floating-point numbers with a sign, two bits of exponent and one of mantissa."""

    kind: FourBitKind = "fp4"
