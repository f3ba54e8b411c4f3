"""The header of a GGUF file as bytes. Imports no torch.

The format is that of `sfumato_quant_gguf.header`, version 3.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence

from sfumato_quant_gguf.header import MAGIC
from sfumato_quant_gguf.writing.planning import PlannedTensor
from sfumato_quant_gguf.written_types import type_number

ALIGNMENT = 32
_VERSION = 3
_U8, _U32, _I32, _F32, _BOOL, _TEXT, _ARRAY = 0, 4, 5, 6, 7, 8, 9

Value = bool | int | float | str | bytes | Sequence[int] | Sequence[float] | Sequence[str]


def header_bytes(metadata: Mapping[str, Value], tensors: Iterable[PlannedTensor]) -> bytes:
    """All that comes before the tensors' bytes, filled up to their alignment.

    Whole numbers become uint32, in lists int32, fractions float32, bytes lists of uint8.
    """
    tensors = list(tensors)
    parts = [MAGIC, struct.pack("<IQQ", _VERSION, len(tensors), len(metadata))]
    parts += [_text(key) + _value(value) for key, value in metadata.items()]
    for tensor, offset in zip(tensors, offsets(tensors), strict=False):
        lengths = tensor.rows[::-1]
        parts.append(_text(tensor.name) + struct.pack(f"<I{len(lengths)}Q", len(lengths), *lengths))
        parts.append(struct.pack("<IQ", type_number(tensor.type_name), offset))
    header = b"".join(parts)
    return header + bytes(-len(header) % ALIGNMENT)


def offsets(tensors: Iterable[PlannedTensor]) -> list[int]:
    """Where each tensor begins behind the header, and after the last one, where all end."""
    found = [0]
    for tensor in tensors:
        found.append(-(-(found[-1] + tensor.size_bytes) // ALIGNMENT) * ALIGNMENT)
    return found


def _value(value: Value) -> bytes:
    if isinstance(value, str):
        return struct.pack("<I", _TEXT) + _text(value)
    if isinstance(value, bool):
        return struct.pack("<I?", _BOOL, value)
    if isinstance(value, int):
        return struct.pack("<II", _U32, value)
    if isinstance(value, float):
        return struct.pack("<If", _F32, value)
    if isinstance(value, bytes):
        return struct.pack("<IIQ", _ARRAY, _U8, len(value)) + value
    return _array(value)


def _array(values: Sequence[int] | Sequence[float] | Sequence[str]) -> bytes:
    if all(isinstance(value, str) for value in values):
        return struct.pack("<IIQ", _ARRAY, _TEXT, len(values)) + b"".join(_text(str(v)) for v in values)
    if all(isinstance(value, int) for value in values):
        return struct.pack(f"<IIQ{len(values)}i", _ARRAY, _I32, len(values), *values)
    return struct.pack(f"<IIQ{len(values)}f", _ARRAY, _F32, len(values), *values)


def _text(text: str) -> bytes:
    data = text.encode(errors="replace")  # names of files need not be Unicode
    return struct.pack("<Q", len(data)) + data
