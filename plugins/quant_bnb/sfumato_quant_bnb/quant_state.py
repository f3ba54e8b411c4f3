"""What bitsandbytes says of a packed 4-bit weight, read from the file and checked. Imports no torch.

Beside a packed weight lies a tensor of bytes, the text of a JSON object: the type and shape that it was
packed from, and the sizes of its blocks. Files come from strangers: whatever is wrong ends in an error.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, Literal

from sfumato.errors import CheckpointError
from sfumato.models import CheckpointHeader, TensorInfo
from sfumato_quant_bnb.small_tensors import read_bytes

FourBitKind = Literal["nf4", "fp4"]

BLOCK_SIZES = (32, 64, 128, 256, 512, 1024, 2048, 4096)
ORIGINAL_TYPES = ("float32", "float16", "bfloat16")

_MOST_BYTES = 4096
_MOST_DIMENSIONS = 8
_LARGEST_OFFSET = 3e38


@dataclass(frozen=True)
class QuantState:
    """A packed weight as its file tells of it.

    Attributes:
        shape: Of the plain weight.
        original_type: What it was packed from: "bfloat16".
        block_size: Numbers that share a scale.
        nested_block_size: Scales that share a scale, where they are packed as well; else 0.
        nested_offset: What is added to scales that are packed.
    """

    shape: tuple[int, ...]
    original_type: str
    block_size: int
    nested_block_size: int = 0
    nested_offset: float = 0.0

    @property
    def numbers(self) -> int:
        return prod(self.shape)

    @property
    def scales(self) -> int:
        return -(-self.numbers // self.block_size)

    @property
    def nested_scales(self) -> int:
        return -(-self.scales // self.nested_block_size) if self.nested_block_size else 0


def mark_of(kind: FourBitKind) -> str:
    """How the name of the tensor of bytes ends."""
    return f".quant_state.bitsandbytes__{kind}"


def read_quant_states(header: CheckpointHeader, kind: FourBitKind) -> dict[str, QuantState]:
    """Of every weight that is packed so, by its name.

    Raises:
        CheckpointError: one says what cannot be, or does not fit the tensors beside it.
    """
    mark = mark_of(kind)
    names = [name for name in header.tensors if name.endswith(mark)]
    texts = read_bytes(header, names, _MOST_BYTES)
    states = {}
    for name, text in zip(names, texts, strict=True):
        weight = name.removesuffix(mark)
        try:
            states[weight] = _parsed(text, kind)
            _check_beside(header.tensors, weight, states[weight])
        except ValueError as error:
            raise CheckpointError(
                f"'{header.path.name}' cannot be used: '{weight}' is not packed as it says.",
                why=f"{error}.",
                hint="The file may be damaged: get it again, or ask who made it.",
            ) from error
    return states


def _parsed(text: bytes, kind: FourBitKind) -> QuantState:
    """Raises `ValueError` for what no packed weight is like."""
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("The description beside it is no JSON") from None
    if not isinstance(fields, dict):
        raise ValueError("The description beside it is no JSON object")
    if fields.get("quant_type", kind) != kind:
        raise ValueError(f"It is said to be {fields['quant_type']!r:.40}, not '{kind}'")
    original = fields.get("dtype")
    if original not in ORIGINAL_TYPES:
        raise ValueError(f"It is said to be packed from {original!r:.40}, not from floating-point numbers")
    nested = _one_of(fields, "nested_blocksize") if "nested_blocksize" in fields else 0
    return QuantState(
        shape=_shape(fields.get("shape")),
        original_type=original,
        block_size=_one_of(fields, "blocksize"),
        nested_block_size=nested,
        nested_offset=_offset(fields) if nested else 0.0,
    )


def _shape(sizes: Any) -> tuple[int, ...]:
    fits = isinstance(sizes, list) and 0 < len(sizes) <= _MOST_DIMENSIONS
    if not fits or any(type(size) is not int or not 0 < size < 2**40 for size in sizes):
        raise ValueError(f"Its shape is said to be {sizes!r:.80}")
    return tuple(sizes)


def _one_of(fields: Mapping[str, Any], name: str) -> int:
    size = fields.get(name)
    if type(size) is not int or size not in BLOCK_SIZES:
        raise ValueError(
            f"Its {name} is said to be {size!r:.40}, not one of {', '.join(map(str, BLOCK_SIZES))}"
        )
    return size


def _offset(fields: Mapping[str, Any]) -> float:
    offset = fields.get("nested_offset")
    if not isinstance(offset, int | float) or not abs(offset) < _LARGEST_OFFSET:  # NaN is not less, either
        raise ValueError(f"Its nested_offset is said to be {offset!r:.40}, which is no finite number")
    return float(offset)


def _check_beside(tensors: Mapping[str, TensorInfo], weight: str, state: QuantState) -> None:
    packed = tensors.get(weight)
    if packed is None:
        raise ValueError("The packed weight itself is missing")
    expected = -(-state.numbers // 2)
    if packed.size_bytes != expected:
        raise ValueError(
            f"A shape of {list(state.shape)} takes {expected} bytes in 4 bits, and it has {packed.size_bytes}"
        )
    _check_scales(tensors, f"{weight}.absmax", state.scales, "U8" if state.nested_block_size else "F32")
    if state.nested_block_size:
        _check_scales(tensors, f"{weight}.nested_absmax", state.nested_scales, "F32")
        _check_scales(tensors, f"{weight}.nested_quant_map", 256, "F32")


def _check_scales(tensors: Mapping[str, TensorInfo], name: str, count: int, dtype: str) -> None:
    info = tensors.get(name)
    if info is None:
        raise ValueError(f"'{name}' is missing")
    if info.dtype != dtype or prod(info.shape) != count:
        raise ValueError(
            f"'{name}' should be {count} numbers as {dtype}, and is {list(info.shape)} as {info.dtype}"
        )
