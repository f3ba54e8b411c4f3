"""A GGUF file's header as the kernel knows headers. Imports no torch: detection uses it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from sfumato.errors import CheckpointError
from sfumato.models import CheckpointHeader, TensorInfo
from sfumato_networks.tokenizer import CARRIED
from sfumato_quant_gguf import t5_names
from sfumato_quant_gguf.byte_reader import Buffer, damaged
from sfumato_quant_gguf.carried_tokenizer import CarriedTokenizer, carries_tokenizer
from sfumato_quant_gguf.header import MAX_DIMENSIONS, GgufHeader, parse_header
from sfumato_quant_gguf.logical_tensors import ORIGINAL_SHAPE, logical_tensors
from sfumato_quant_gguf.mapped_file import mapped_file
from sfumato_quant_gguf.metadata import ArrayField, Value, read_array
from sfumato_quant_gguf.shards import shards_of

FORMAT = "gguf"
_ALL_TENSORS = "split.tensors.count"
"""In the metadata of each piece of a model: how many tensors all pieces have."""
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
    _check_whole(tensors, header.metadata, path)
    known = t5_names.as_transformers(tensors)
    return CheckpointHeader(path, "single_file", FORMAT, known, metadata, configs)


def tensors_of(
    header: GgufHeader, data: Buffer, path: Path, file: Path | None = None
) -> dict[str, TensorInfo]:
    """The tensors in their plain shapes; ``file`` holds them where that is not the model's own path."""
    return logical_tensors(header.tensors, _original_shapes(header, data, path), file, path)


def _check_whole(tensors: Collection[str], stated: Mapping[str, Value], path: Path) -> None:
    """Raises `CheckpointError` where pieces are missing though the files' names tell of none."""
    total = stated.get(_ALL_TENSORS)
    if isinstance(total, int) and len(tensors) < total:
        raise CheckpointError(
            f"'{path}' is a piece of a model.",
            why=f"The whole of it has {total:,} tensors, of which {len(tensors):,} are here.",
            hint="Put all pieces into one folder, named NAME-00001-of-00003.gguf and so on.",
        )


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
