"""OFT (https://arxiv.org/abs/2306.07280) and BOFT (https://arxiv.org/abs/2311.06243): outputs are rotated.

Rotations are stored as the skew-symmetric matrices of the Cayley transform, a block each for a few outputs.
BOFT has several stages, which mix outputs ever further apart, like the butterflies of a Fourier transform.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from sfumato_adapters.kinds.delta import Delta, Kind, Misfit, MisfitOfLayer, Shape, check_size
from sfumato_adapters.kinds.scaling import Scaling

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class OftDelta(Delta):
    """``(rotation - 1) W``, with a factor for each output maybe.

    Attributes:
        blocks: [number, size, size].
        constraint: The largest norm of all blocks together; None for any.
        rescale: A factor for each output.
        are_rotations: Whether the blocks are the rotations themselves, as in early LyCORIS.
    """

    reads_original: ClassVar[bool] = True
    blocks: Tensor
    constraint: float | None = None
    rescale: Tensor | None = None
    are_rotations: bool = False

    def delta(self, original: Tensor) -> Tensor:
        import torch

        blocks = self.blocks.to(original.device).float()
        rotations = blocks if self.are_rotations else cayley(blocks, self.constraint)
        weight = original.float()
        pieces = weight.reshape(blocks.shape[0], blocks.shape[1], -1)
        turned = (rotations - torch.eye(blocks.shape[1], device=original.device)).mT @ pieces
        return _rescaled(weight, turned.reshape(weight.shape), self.rescale)


@dataclass(frozen=True)
class BoftDelta(Delta):
    """The same in stages; blocks are [stages, number, size, size]."""

    reads_original: ClassVar[bool] = True
    blocks: Tensor
    constraint: float | None = None
    rescale: Tensor | None = None

    def delta(self, original: Tensor) -> Tensor:
        weight = original.float()
        outputs = weight.flatten(1)
        size = self.blocks.shape[-1]
        rotations = cayley(self.blocks.to(original.device).float(), self.constraint)
        for stage, rotation in enumerate(rotations):
            distance = 2**stage * size // 2
            # Outputs this far apart come to lie side by side, so that a block mixes them.
            paired = outputs.unflatten(0, (-1, 2, distance)).transpose(1, 2)
            mixed = rotation @ paired.reshape(-1, size, outputs.shape[1])
            outputs = mixed.reshape(paired.shape).transpose(1, 2).reshape(outputs.shape)
        return _rescaled(weight, outputs.reshape(weight.shape) - weight, self.rescale)


def cayley(blocks: Tensor, constraint: float | None) -> Tensor:
    """The rotations ``(1 + q) (1 - q)^-1`` of the skew-symmetric parts q of the blocks."""
    import torch

    skew = blocks - blocks.mT
    if constraint:
        norm = skew.norm()
        skew = skew * (constraint / norm).clamp(max=1.0) if norm > 0 else skew
    identity = torch.eye(blocks.shape[-1], device=blocks.device)
    return torch.linalg.solve(identity - skew, identity + skew)


def _rescaled(weight: Tensor, change: Tensor, rescale: Tensor | None) -> Tensor:
    if rescale is None:
        return change
    factor = rescale.to(weight.device).float().reshape(-1, *[1] * (weight.ndim - 1))
    return factor * change + (factor - 1) * weight


def _read(tensors: Mapping[str, Tensor], slot: str, shape: Shape) -> tuple[Tensor, Tensor | None]:
    """The blocks and the factors, checked."""
    blocks, rescale = tensors[slot], tensors.get("rescale")
    if blocks.ndim not in (3, 4) or blocks.shape[-1] != blocks.shape[-2]:
        raise Misfit(f"its blocks have the shape {list(blocks.shape)}")
    if blocks.shape[-3] * blocks.shape[-1] != shape[0]:
        outputs = blocks.shape[-3] * blocks.shape[-1]
        raise MisfitOfLayer(f"its blocks are for {outputs} outputs, the layer has the shape {list(shape)}")
    if rescale is not None:
        check_size((rescale.numel(),), shape[:1], "its rescaling")
    return blocks, rescale


def _constraint(scaling: Scaling, shape: Shape) -> float | None:
    """The trainers store in alpha how far an output may turn; 0 for any."""
    return scaling.alpha * shape[0] if scaling.alpha else None


def _build_oft(tensors: Mapping[str, Tensor], shape: Shape, scaling: Scaling) -> OftDelta:
    blocks, rescale = _read(tensors, "oft_blocks", shape)
    return OftDelta(blocks, _constraint(scaling, shape), rescale)


def _build_early_oft(tensors: Mapping[str, Tensor], shape: Shape, scaling: Scaling) -> OftDelta:
    blocks, rescale = _read(tensors, "oft_diag", shape)
    if blocks.ndim != 3:
        raise Misfit(f"its blocks have the shape {list(blocks.shape)}")
    return OftDelta(blocks, rescale=rescale, are_rotations=True)


def _build_boft(tensors: Mapping[str, Tensor], shape: Shape, scaling: Scaling) -> BoftDelta:
    blocks, rescale = _read(tensors, "oft_blocks", shape)
    stages, _, size, _ = blocks.shape
    if size % 2 or shape[0] % (2 ** (stages - 1) * size):
        raise Misfit(f"its blocks have the shape {list(blocks.shape)}: {shape[0]} outputs cannot be paired")
    return BoftDelta(blocks, _constraint(scaling, shape), rescale)


_SUFFIXES = {"oft_blocks": "oft_blocks", "rescale": "rescale"}
_STAGED = 4

OFT = Kind(
    "oft", _SUFFIXES, lambda shapes: len(shapes.get("oft_blocks", (0,) * _STAGED)) != _STAGED, _build_oft
)
BOFT = Kind("boft", _SUFFIXES, lambda shapes: len(shapes.get("oft_blocks", ())) == _STAGED, _build_boft)
EARLY_OFT = Kind(
    "oft",
    {"oft_diag": "oft_diag", "rescale": "rescale"},
    lambda shapes: "oft_diag" in shapes,
    _build_early_oft,
)
