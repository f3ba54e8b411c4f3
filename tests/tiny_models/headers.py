"""Headers of checkpoints of any size, without a file: what detection reads."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

from sfumato.models import CheckpointHeader, TensorInfo

Shapes = Mapping[str, tuple[int, ...]]


def header_of(
    shapes: Shapes, *, dtype: str = "BF16", name: str = "model.safetensors", **fields: Any
) -> CheckpointHeader:
    """A single file's header with tensors of these shapes; `fields` are those of `CheckpointHeader`."""
    tensors, start = {}, 0
    for tensor, shape in shapes.items():
        end = start + 2 * prod(shape)
        tensors[tensor] = TensorInfo(dtype, tuple(shape), start, end)
        start = end
    return CheckpointHeader(Path(name), fields.pop("layout", "single_file"), "safetensors", tensors, **fields)
