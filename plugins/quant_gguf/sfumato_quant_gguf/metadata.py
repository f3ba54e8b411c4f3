"""Values in the metadata of GGUF files: numbers, texts, and lists, which stay in the file until wanted."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sfumato_quant_gguf.byte_reader import Buffer, ByteReader, damaged

TEXT, ARRAY = 8, 9
_NUMBERS = {
    number: struct.Struct(f"<{code}")
    for number, code in {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?"}.items()
} | {10: struct.Struct("<Q"), 11: struct.Struct("<q"), 12: struct.Struct("<d")}

MAX_DEPTH = 4
"""Of lists within lists."""


@dataclass(frozen=True)
class ArrayField:
    """A list in the metadata: `count` values of the type with this number, from byte `start` to `end`."""

    type: int
    count: int
    start: int
    end: int


Value = bool | int | float | str | ArrayField


def read_value(reader: ByteReader) -> Value:
    """The type of a value, and the value; of a list only where it lies. Raises `CheckpointError`."""
    kind = reader.u32()
    if kind == TEXT:
        return reader.text()
    if kind == ARRAY:
        return _pass_array(reader, MAX_DEPTH)
    return reader.number(_number_form(reader, kind))


def read_array(data: Buffer, path: Path, field: ArrayField) -> Sequence[bool | int | float | str]:
    """The numbers or texts of a list that lies in this file.

    Raises:
        CheckpointError: it is a list of lists, or a text in it is too long.
    """
    reader = ByteReader(data, path, field.start)
    if field.type == TEXT:
        return [reader.text() for _ in range(field.count)]
    if field.type == ARRAY:
        raise damaged(path, "Its metadata has lists in a list where numbers or texts were expected.")
    form = _number_form(reader, field.type)
    values = [value for (value,) in form.iter_unpack(data[field.start : field.end])]
    return array("B", values).tobytes() if field.type == 0 else values


def _pass_array(reader: ByteReader, depth: int) -> ArrayField:
    if not depth:
        raise damaged(reader.path, f"Its metadata has lists nested more than {MAX_DEPTH} deep.")
    kind, count = reader.u32(), reader.u64()
    least = 8 if kind == TEXT else 12 if kind == ARRAY else _number_form(reader, kind).size
    if count * least > reader.left:
        raise damaged(
            reader.path, f"A list in its metadata claims {count:,} values, for which it is too short."
        )
    start = reader.offset
    if kind == TEXT:
        reader.take_values(count)
        reader.skip_texts(count)
    elif kind == ARRAY:
        reader.take_values(count)
        for _ in range(count):
            _pass_array(reader, depth - 1)
    else:
        reader.skip(count * least)
    return ArrayField(kind, count, start, reader.offset)


def _number_form(reader: ByteReader, kind: int) -> struct.Struct:
    if kind not in _NUMBERS:
        raise damaged(reader.path, f"Its metadata has a value of the type number {kind}, which there is not.")
    return _NUMBERS[kind]
