"""The header of a GGUF file, read with every bound checked. Imports no torch: detection uses it.

The format (github.com/ggml-org/ggml, docs/gguf.md), little endian: "GGUF", the version, the numbers of
tensors and of metadata entries; the entries, each a key, the type of its value, the value; for each tensor
its name, dimensions (fastest first), type and offset; after a gap up to the alignment the tensors' bytes.

Files come from strangers: no count is believed before the bytes that are left can hold it, and whatever is
wrong ends in a `CheckpointError` that says what, and what to do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from pathlib import Path

from sfumato.errors import CheckpointError
from sfumato_quant_gguf.byte_reader import Buffer, ByteReader, damaged
from sfumato_quant_gguf.metadata import ArrayField, Value, read_value
from sfumato_quant_gguf.tensor_types import TYPES, TensorType

MAGIC = b"GGUF"
VERSIONS = (2, 3)
MAX_TENSORS = MAX_ENTRIES = 65_536
MAX_DIMENSIONS = 8
"""ggml itself stops at 4; the tensors of video models are put into such files with 5."""
MAX_ELEMENTS = 2**60
MAX_ALIGNMENT = 2**20
_ALIGNMENT = "general.alignment"
_DEFAULT_ALIGNMENT = 32
_LEAST_ENTRY, _LEAST_TENSOR = 8 + 4 + 1, 8 + 4 + 4 + 8
"""Bytes that a metadata entry and the description of a tensor take at least."""

_OTHER_FILES = (  # first bytes, what such a file is, what to do
    (
        b"version ",
        "It is a Git LFS pointer: some text in place of the file.",
        "Run 'git lfs pull' beside it.",
    ),
    (b"<", "It is a web page, which the download got in place of the file.", "Download the file again."),
    (b"PK\x03\x04", "It is a zip or pickle file.", "Get the model as .gguf or .safetensors."),
)


@dataclass(frozen=True)
class StoredTensor:
    """A tensor as the file has it: its slowest dimension first, its bytes counted from the file's start."""

    type: TensorType
    shape: tuple[int, ...]
    start: int
    end: int


@dataclass(frozen=True)
class GgufHeader:
    """All that a GGUF file says of itself; long values stay in the file, see `ArrayField`."""

    version: int
    metadata: Mapping[str, Value]
    tensors: Mapping[str, StoredTensor]


def parse_header(data: Buffer, path: Path) -> GgufHeader:
    """The header of a whole GGUF file.

    Args:
        data: The file's bytes, as a rule mapped: no more than the header is looked at.
        path: For messages.

    Raises:
        CheckpointError: it is no GGUF file, of a version or byte order that is not read, or damaged.
    """
    reader = ByteReader(data, path)
    version = _read_version(reader)
    tensor_count = reader.count("tensors", MAX_TENSORS, _LEAST_TENSOR)
    entry_count = reader.count("metadata entries", MAX_ENTRIES, _LEAST_ENTRY)
    metadata = _read_metadata(reader, entry_count)
    described = _read_descriptions(reader, tensor_count)
    start = _aligned(reader.offset, _alignment(metadata, path))
    tensors = {name: _placed(name, one, start, path) for name, one in described.items()}
    _check_places(tensors, len(data), path)
    return GgufHeader(version, metadata, tensors)


def _read_version(reader: ByteReader) -> int:
    start = bytes(reader.data[:16])
    if not start.startswith(MAGIC):
        why, hint = f"It begins with {start[:4]!r} instead of {MAGIC!r}.", "It may be another kind of file."
        for magic, what, todo in _OTHER_FILES:
            if start.startswith(magic):
                why, hint = what, todo
        raise CheckpointError(f"'{reader.path}' is not a GGUF file.", why=why, hint=hint)
    reader.skip(len(MAGIC))
    version = reader.u32()
    if version in VERSIONS:
        return version
    if version and not version & 0xFFFF:
        why = "It was written for big-endian machines, whose numbers have their bytes the other way round."
    else:
        why = f"It has version {version} of the format; {' and '.join(map(str, VERSIONS))} are read."
    raise CheckpointError(
        f"'{reader.path}' cannot be used.",
        why=why,
        hint="Get the model as a current little-endian GGUF file.",
    )


def _read_metadata(reader: ByteReader, count: int) -> dict[str, Value]:
    metadata: dict[str, Value] = {}
    for _ in range(count):
        key = reader.name("a metadata key")
        if key in metadata:
            raise damaged(reader.path, f"Its metadata has {key!r} twice.")
        metadata[key] = read_value(reader)
    return metadata


_Description = tuple[TensorType, tuple[int, ...], int]
"""Type, shape, and offset from where the tensors begin."""


def _read_descriptions(reader: ByteReader, count: int) -> dict[str, _Description]:
    found: dict[str, _Description] = {}
    for _ in range(count):
        name = reader.name("a tensor's name")
        if name in found:
            raise damaged(reader.path, f"It has the tensor {name!r} twice.")
        found[name] = _read_description(reader, name)
    return found


def _read_description(reader: ByteReader, name: str) -> _Description:
    dimensions = reader.u32()
    if dimensions > MAX_DIMENSIONS:
        raise damaged(reader.path, f"Tensor {name!r} claims {dimensions} dimensions.")
    shape = tuple(reader.u64() for _ in range(dimensions))[::-1]
    number, offset = reader.u32(), reader.u64()
    if number not in TYPES:
        raise CheckpointError(
            f"'{reader.path}' cannot be used.",
            why=f"Tensor {name!r} has the type number {number}, which is not known.",
            hint="It may be newer than this program, or damaged: get the model in another quantisation.",
        )
    if prod(max(length, 1) for length in shape) > MAX_ELEMENTS:
        raise damaged(reader.path, f"Tensor {name!r} has the absurd shape {list(shape)}.")
    kind = TYPES[number]
    if (shape[-1] if shape else 1) % kind.block_size:
        raise damaged(
            reader.path,
            f"Tensor {name!r} of shape {list(shape)} has rows that are no whole blocks of {kind.name}, "
            f"which hold {kind.block_size} numbers.",
        )
    return kind, shape, offset


def _alignment(metadata: Mapping[str, Value], path: Path) -> int:
    alignment = metadata.get(_ALIGNMENT, _DEFAULT_ALIGNMENT)
    if type(alignment) is int and 0 < alignment <= MAX_ALIGNMENT and not alignment & (alignment - 1):
        return alignment
    raise damaged(path, f"Its alignment is {_shown(alignment)}, which is no small power of two.")


def _shown(value: Value) -> str:
    return "a list" if isinstance(value, ArrayField) else f"{value!r:.40}"


def _aligned(offset: int, alignment: int) -> int:
    return -(-offset // alignment) * alignment


def _placed(name: str, description: _Description, start: int, path: Path) -> StoredTensor:
    kind, shape, offset = description
    first = start + offset
    return StoredTensor(kind, shape, first, first + kind.size_bytes(prod(shape)))


def _check_places(tensors: Mapping[str, StoredTensor], size: int, path: Path) -> None:
    """Raises `CheckpointError` for tensors that overlap, or reach beyond the file's end."""
    spans = sorted((one.start, one.end, name) for name, one in tensors.items() if one.end > one.start)
    for (_, end, before), (start, _, name) in pairwise(spans):
        if start < end:
            raise damaged(path, f"Tensor {name!r} overlaps {before!r} by {end - start:,} bytes.")
    last = max((end for _, end, _ in spans), default=0)
    if last > size:
        raise damaged(path, f"It is truncated: the last {last - size:,} of {last:,} bytes are missing.")
