"""LoRA (https://arxiv.org/abs/2106.09685) and LoCon, the same for convolutions, plain or by Tucker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING

from sfumato_adapters.kinds.delta import Delta, Kind, Misfit, Shape, check_rank, check_size, has_any, need
from sfumato_adapters.kinds.scaling import Scaling

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True)
class LoraDelta(Delta):
    """``factor * up @ down``.

    Attributes:
        down: [rank, inputs], of a convolution [rank, channels, height, width], or 1 x 1 before `mid`.
        up: [outputs, rank], of a convolution with 1 x 1.
        mid: [rank, rank, height, width]: the kernel where down and up only mix channels.
    """

    down: Tensor
    up: Tensor
    factor: float
    mid: Tensor | None = None

    def delta(self, original: Tensor) -> Tensor:
        down, up = self._matrices(original.device)
        return (up @ down).reshape(original.shape)

    def low_rank(self) -> tuple[Tensor, Tensor]:
        return self._matrices(self.down.device)

    def _matrices(self, device: torch.device) -> tuple[Tensor, Tensor]:
        # Moved as they are stored: that is less than in float32.
        down, up = (tensor.to(device).float().flatten(1) for tensor in (self.down, self.up))
        if self.mid is not None:
            down = (self.mid.to(device).float().movedim(1, -1) @ down).movedim(-1, 1).flatten(1)
        return down, up * self.factor

    def rows(self, start: int, stop: int, outputs: int) -> LoraDelta:
        return replace(self, up=self.up[start:stop])


def product(down: Tensor, up: Tensor, mid: Tensor | None, shape: Shape, factor: float) -> LoraDelta:
    """The change for a layer of a shape.

    Raises:
        Misfit: the ranks differ, or are 0.
        MisfitOfLayer: inputs or outputs are not the layer's.
    """
    if min(tensor.ndim for tensor in (down, up, mid) if tensor is not None) < 2:
        raise Misfit("its matrices have fewer than two dimensions")
    rank = down.shape[0]
    check_rank(rank)
    inner, outer = (rank, rank) if mid is None else (mid.shape[1], mid.shape[0])
    if (rank, up.shape[1]) != (inner, outer):
        raise Misfit(f"its rank is {rank} where it reads but {up.shape[1]} where it writes")
    kernel = (down if mid is None else mid).shape[2:]
    check_size((up.shape[0], down.shape[1], *kernel), shape)
    if prod(up.shape[2:]) != 1 or (mid is not None and prod(down.shape[2:]) != 1):
        raise Misfit("its kernels are larger than 1 x 1 where they only mix channels")
    return LoraDelta(down, up, factor, mid)


def _build(tensors: Mapping[str, Tensor], shape: Shape, scaling: Scaling) -> LoraDelta:
    down = need(tensors, "lora_down", beside="lora_up")
    up = need(tensors, "lora_up", beside="lora_down")
    rank = down.shape[0] if down.ndim else 1
    check_rank(rank)
    return product(down, up, tensors.get("lora_mid"), shape, scaling.factor(rank))


def _build_bias(tensors: Mapping[str, Tensor], shape: Shape, scaling: Scaling) -> Delta:
    from sfumato_adapters.kinds.full import Difference

    bias = tensors["lora_up_bias"]
    check_size(tuple(bias.shape), shape, "its bias")
    rank = tensors["lora_down"].shape[0] if "lora_down" in tensors else None
    return Difference(bias, scaling.factor(rank))


_NAMES = {
    "lora_down.weight": "lora_down",
    "lora_up.weight": "lora_up",
    "lora_mid.weight": "lora_mid",
    "lora_A.weight": "lora_down",
    "lora_B.weight": "lora_up",
    "lora.down.weight": "lora_down",
    "lora.up.weight": "lora_up",
    "lora_linear_layer.down.weight": "lora_down",
    "lora_linear_layer.up.weight": "lora_up",
}

LORA = Kind(
    "lora",
    _NAMES,
    has_any("lora_down", "lora_up"),
    _build,
    rank=lambda shapes: shapes["lora_down"][0] if shapes.get("lora_down") else None,
)
LORA_BIAS = Kind(
    "lora",
    {"lora_B.bias": "lora_up_bias", "lora_up.bias": "lora_up_bias"},
    has_any("lora_up_bias"),
    _build_bias,
    parameter="bias",
)
