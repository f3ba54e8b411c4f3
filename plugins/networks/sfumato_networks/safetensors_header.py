"""The header of a safetensors file, read with every bound checked. Imports no torch: detection uses it.

The format: 8 bytes little-endian, the length of the header; the header, a JSON object of tensor names with
type, shape and byte range, and perhaps a map of texts under ``__metadata__``; then the tensors' bytes without
gaps. Files come from strangers: whatever is wrong with one ends in a `CheckpointError` that says what, and
what to do.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn

from sfumato.errors import CheckpointError
from sfumato.models import CheckpointHeader, TensorInfo

MAX_HEADER_BYTES = 100_000_000
MAX_ELEMENTS = 2**60

ITEM_BYTES = {
    "BOOL": 1,
    "U8": 1,
    "I8": 1,
    "F8_E5M2": 1,
    "F8_E4M3": 1,
    "F8_E8M0": 1,
    "F8_E5M2FNUZ": 1,
    "F8_E4M3FNUZ": 1,
    "I16": 2,
    "U16": 2,
    "F16": 2,
    "BF16": 2,
    "I32": 4,
    "U32": 4,
    "F32": 4,
    "C64": 8,
    "F64": 8,
    "I64": 8,
    "U64": 8,
}

DOWNLOAD_AGAIN = "Download the file again."

_PICKLE = "It is a pickle checkpoint (.ckpt, .pt, .bin), and opening one runs whatever program it holds."
_NO_PICKLE = "Sfumato never does that: get the model as safetensors, or convert it to that elsewhere."
_OTHER_FILES = (  # first bytes, what such a file is, what to do
    (b"PK\x03\x04", _PICKLE, _NO_PICKLE),
    (b"\x80", _PICKLE, _NO_PICKLE),
    (b"GGUF", "It is a GGUF file under another name.", "Rename it, so that its name ends in .gguf."),
    (
        b"version ",
        "It is a Git LFS pointer: some text in place of the file.",
        "Run 'git lfs pull' beside it.",
    ),
    (b"<", "It is a web page, which the download got in place of the file.", DOWNLOAD_AGAIN),
)


def read_header(path: Path) -> CheckpointHeader:
    """What ``path`` holds; tensor positions are counted from the start of the file, as bytes.

    Raises:
        CheckpointError: the file cannot be read, is no safetensors file, or is damaged.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            start = file.read(9)
            length = _header_length(path, start, size)
            file.seek(8)
            text = file.read(length)
    except OSError as error:
        raise unreadable(path, error) from error
    return _Parser(path, data_start=8 + length, file_size=size).parse(text)


def unreadable(path: Path, error: OSError | ValueError) -> CheckpointError:
    """The error for a file or folder that the system will not let us read."""
    if isinstance(error, FileNotFoundError) and path.is_symlink():
        return CheckpointError(
            f"'{path}' cannot be read.", why="It is a link to a file that is gone.", hint=DOWNLOAD_AGAIN
        )
    return CheckpointError(
        f"'{path}' cannot be read.",
        why=f"{getattr(error, 'strerror', None) or error}.",
        hint="Check the path, and that you may read it.",
    )


def _header_length(path: Path, start: bytes, size: int) -> int:
    if start[8:9] != b"{":
        _refuse_other_files(path, start)
    if len(start) < 8:
        raise _damaged(path, f"It has {size} bytes, fewer than the 8 that any safetensors file begins with.")
    (length,) = struct.unpack("<Q", start[:8])
    if length > MAX_HEADER_BYTES:
        raise _damaged(path, f"Its header claims {length:,} bytes; {MAX_HEADER_BYTES:,} are the limit.")
    if 8 + length > size:
        raise _damaged(path, f"Its header claims {length:,} bytes, but the file has only {size:,}.")
    if start[8:] != b"{":
        raise _damaged(path, "Its header does not begin with '{'.", "It may be no safetensors file at all.")
    return int(length)


def _refuse_other_files(path: Path, start: bytes) -> None:
    for magic, why, hint in _OTHER_FILES:
        if start.startswith(magic):
            raise CheckpointError(f"'{path}' is not a safetensors file.", why=why, hint=hint)


def _damaged(path: Path, why: str, hint: str = DOWNLOAD_AGAIN) -> CheckpointError:
    return CheckpointError(f"'{path}' is damaged.", why=why, hint=hint)


class _Parser:
    """Turns the header's JSON into tensor infos, trusting nothing."""

    def __init__(self, path: Path, data_start: int, file_size: int) -> None:
        self.path = path
        self.data_start = data_start
        self.file_size = file_size

    def parse(self, text: bytes) -> CheckpointHeader:
        entries = self.load_json(text)
        metadata = entries.pop("__metadata__", None)
        if metadata is None:
            metadata = {}
        if not (isinstance(metadata, dict) and all(isinstance(value, str) for value in metadata.values())):
            self.fail("Its metadata is not a map of texts.")
        tensors = {name: self.tensor(name, entry) for name, entry in entries.items()}
        self.check_cover(tensors)
        return CheckpointHeader(self.path, "single_file", "safetensors", tensors, metadata)

    def load_json(self, text: bytes) -> dict[str, Any]:
        try:
            entries = json.loads(
                text.decode(),
                object_pairs_hook=_unique,
                parse_int=_natural,
                parse_float=_no_number,
                parse_constant=_no_number,
            )
        except (ValueError, RecursionError) as error:  # of bad UTF-8 and bad JSON too
            self.fail(f"Its header is not the JSON it should be: {error}.")
        if not isinstance(entries, dict):
            self.fail("Its header is not a JSON object.")
        return entries

    def tensor(self, name: str, entry: Any) -> TensorInfo:
        match entry:
            case {"dtype": str(dtype), "shape": list(shape), "data_offsets": [start, end]} if len(entry) == 3:
                pass
            case _:
                self.fail(f"Tensor {name!r} is not described by dtype, shape and data_offsets.")
        if not all(type(n) is int for n in (*shape, start, end)):  # a bool is an int to isinstance
            self.fail(f"Tensor {name!r} has a shape or position that is not made of numbers.")
        if dtype not in ITEM_BYTES:
            raise CheckpointError(
                f"'{self.path}' cannot be used.",
                why=f"Tensor {name!r} has the type {dtype!r}, which is not read.",
                hint="Get the model in another type: bf16, fp16 or fp8.",
            )
        wanted, given = self.bytes_of(name, dtype, shape), end - start
        if wanted != given:
            self.fail(f"Tensor {name!r}, {dtype} of shape {shape}, takes {wanted:,} bytes, not {given:,}.")
        return TensorInfo(dtype, tuple(shape), self.data_start + start, self.data_start + end)

    def bytes_of(self, name: str, dtype: str, shape: list[int]) -> int:
        count, bound = 1, 1
        for n in shape:
            count, bound = count * n, bound * max(n, 1)  # the bound holds for empty tensors, whose count is 0
            if bound > MAX_ELEMENTS:
                self.fail(f"Tensor {name!r} has the absurd shape {shape}.")
        return count * ITEM_BYTES[dtype]

    def check_cover(self, tensors: dict[str, TensorInfo]) -> None:
        """The tensors' bytes must fill the file from header to end, with no gap and no overlap."""
        spans = sorted((info.start, info.end, name) for name, info in tensors.items())
        spans.insert(0, (0, self.data_start, "the header"))
        for (_, end, before), (start, _, name) in pairwise(spans):
            if start < end:
                self.fail(f"Tensor {name!r} overlaps {before!r} by {end - start:,} bytes.")
            if start > end:
                self.fail(f"There is a hole of {start - end:,} bytes before tensor {name!r}.")
        missing = spans[-1][1] - self.file_size
        if missing > 0:
            self.fail(f"It is truncated: the last {missing:,} of {spans[-1][1]:,} bytes are missing.")
        if missing < 0:
            self.fail(f"It has {-missing:,} bytes more than its header accounts for.")

    def fail(self, why: str, hint: str = DOWNLOAD_AGAIN) -> NoReturn:
        raise _damaged(self.path, why, hint)


def _unique(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for name, value in pairs:
        name.encode()  # half a surrogate pair, which JSON can spell, is a UnicodeError, so a ValueError
        if isinstance(value, str):
            value.encode()
        if name in members:
            raise ValueError(f"{name!r} occurs twice")
        members[name] = value
    return members


def _natural(digits: str) -> int:
    if digits.startswith("-") or len(digits) > 19:
        raise ValueError(f"{digits[:24]} is no size")
    return int(digits)


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text[:24]} is no whole number")
