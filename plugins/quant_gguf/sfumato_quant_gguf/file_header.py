"""A GGUF file's header as the kernel knows headers. Imports no torch: detection uses it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sfumato.models import CheckpointHeader, TensorInfo
from sfumato_networks.tokenizer import CARRIED
from sfumato_quant_gguf.byte_reader import Buffer, damaged
from sfumato_quant_gguf.carried_tokenizer import CarriedTokenizer, carries_tokenizer
from sfumato_quant_gguf.header import MAX_DIMENSIONS, GgufHeader, parse_header
from sfumato_quant_gguf.logical_tensors import ORIGINAL_SHAPE, logical_tensors
from sfumato_quant_gguf.mapped_file import mapped_file
from sfumato_quant_gguf.metadata import ArrayField, Value, read_array
from sfumato_quant_gguf.shards import shards_of

FORMAT = "gguf"
_MAX_SHAPE = 8
_MAX_SHOWN_TEXT = 65_536
"""Characters of a text that is taken into the metadata: longer ones are templates and licences."""


def read_header(path: Path) -> CheckpointHeader:
    """What the file holds, or all the files that it was split into.

    Raises:
        CheckpointError: a file cannot be read, is no GGUF file, or is damaged.
    """
    path = Path(path)
    files = shards_of(path)
    tensors: dict[str, TensorInfo] = {}
    metadata: dict[str, str] = {}
    configs: dict[str, Mapping[str, Any]] = {}
    for file in files:
        with mapped_file(file) as data:
            header = parse_header(data, file)
            found = tensors_of(header, data, file, None if file == path else file)
        if twice := found.keys() & tensors.keys():
            raise damaged(file, f"The tensor {min(twice)!r} is in another of the model's pieces, too.")
        tensors |= found
        metadata = texts_of(header.metadata) | metadata
        if carries_tokenizer(header.metadata):
            configs[CARRIED] = CarriedTokenizer(file)
    return CheckpointHeader(path, "single_file", FORMAT, tensors, metadata, configs)


def tensors_of(
    header: GgufHeader, data: Buffer, path: Path, file: Path | None = None
) -> dict[str, TensorInfo]:
    """The tensors as families know them; ``file`` holds them where that is not the model's own path."""
    return logical_tensors(header.tensors, _original_shapes(header, data, path), file, path)


def texts_of(metadata: Mapping[str, Value]) -> dict[str, str]:
    """Metadata as text, without lists and what is too long to be shown."""
    return {
        key: str(value)
        for key, value in metadata.items()
        if not isinstance(value, ArrayField) and not (isinstance(value, str) and len(value) > _MAX_SHOWN_TEXT)
    }


def _original_shapes(header: GgufHeader, data: Buffer, path: Path) -> dict[str, object]:
    """What the metadata says of tensors' shapes, by tensor; None where that can be none."""
    return {
        key.removeprefix(ORIGINAL_SHAPE): read_array(data, path, value)
        if isinstance(value, ArrayField) and value.count <= MAX_DIMENSIONS
        else None
        for key, value in header.metadata.items()
        if key.startswith(ORIGINAL_SHAPE)
    }
