"""A GGUF file's tensors in their plain shapes. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from pathlib import Path

from sfumato.models import TensorInfo
from sfumato_quant_gguf.byte_reader import damaged
from sfumato_quant_gguf.header import MAX_DIMENSIONS, StoredTensor
from sfumato_quant_gguf.metadata import ArrayField

Shape = tuple[int, ...]
ReadArray = Callable[[ArrayField], object]

ORIGINAL_SHAPE = "comfy.gguf.orig_shape."
"""Before a tensor's name, in the metadata: the shape of one that was stored in rows that are whole blocks."""

_LEADING_ONES = {"pos_embed": 3, "pos_embed.pos_embed": 3}
"""Dimensions of tensors whose first is 1, which ggml leaves out: Stable Diffusion 3's positions."""


def logical_tensors(
    stored: Mapping[str, StoredTensor], original_shapes: Mapping[str, object], file: Path | None, path: Path
) -> dict[str, TensorInfo]:
    """The tensors by the names that the file has, with their logical shapes.

    Args:
        original_shapes: What the metadata says, by tensor.
        file: What holds them, where that is not the header's own path.
        path: For messages.

    Raises:
        CheckpointError: an original shape is not made of numbers, or does not fit the tensor.
    """
    found: dict[str, TensorInfo] = {}
    for name, tensor in stored.items():
        shape = _with_leading_ones(name, tensor.shape)
        if name in original_shapes:
            shape = _original_shape(name, original_shapes[name], tensor.shape, path)
        found[name] = TensorInfo(tensor.type.name, shape, tensor.start, tensor.end, file)
    return found


def _with_leading_ones(name: str, shape: Shape) -> Shape:
    dimensions = _LEADING_ONES.get(name.removeprefix("model.diffusion_model."), 0)
    return (1,) * (dimensions - len(shape)) + shape


def _original_shape(name: str, stated: object, stored: Shape, path: Path) -> Shape:
    if not isinstance(stated, list | bytes) or not all(
        type(length) is int and length >= 0 for length in stated
    ):
        raise damaged(path, f"The original shape of tensor {name!r} is none.")
    if len(stated) > MAX_DIMENSIONS or prod(stated) != prod(stored):
        raise damaged(
            path, f"Tensor {name!r} of shape {list(stored)} cannot have had the shape {list(stated)!r:.80}."
        )
    return tuple(stated)
