"""Numbers and texts out of a file's bytes, each bound checked before anything is read or made."""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

from sfumato.errors import CheckpointError

Buffer = bytes | mmap.mmap

MAX_NAME_BYTES = 65_535
"""What the format allows a key; ggml allows a tensor's name 63, other programs longer ones."""
MAX_TEXT_BYTES = 16 * 2**20
MAX_VALUES = 4_000_000
"""Texts and lists within lists that are walked over in one file: large vocabularies have 300,000 tokens, and
as many merges."""

_U32, _U64 = struct.Struct("<I"), struct.Struct("<Q")


def damaged(path: Path, why: str) -> CheckpointError:
    """The error for a file that contradicts itself."""
    return CheckpointError(f"'{path}' is damaged.", why=why, hint="Download the file again.")


class ByteReader:
    """Walks over the bytes of a file.

    Attributes:
        offset: Where it is.

    All methods raise `CheckpointError` where the bytes do not hold what is asked for.
    """

    def __init__(self, data: Buffer, path: Path, offset: int = 0) -> None:
        self.data = data
        self.path = path
        self.offset = offset
        self._size = len(data)
        self._values_left = MAX_VALUES

    @property
    def left(self) -> int:
        return self._size - self.offset

    def skip(self, count: int) -> int:
        """Go on by so many bytes; gives where they begin."""
        start = self.offset
        if count > self._size - start:
            raise self._too_short()
        self.offset = start + count
        return start

    def u32(self) -> int:
        number: int = _U32.unpack_from(self.data, self.skip(4))[0]
        return number

    def u64(self) -> int:
        number: int = _U64.unpack_from(self.data, self.skip(8))[0]
        return number

    def number(self, form: struct.Struct) -> bool | int | float:
        """One number of that form."""
        value: bool | int | float = form.unpack_from(self.data, self.skip(form.size))[0]
        return value

    def count(self, things: str, limit: int, least_bytes: int) -> int:
        """How many things follow, each of so many bytes at least."""
        count = self.u64()
        if count > limit:
            raise damaged(self.path, f"It claims {count:,} {things}; {limit:,} are the limit.")
        if count * least_bytes > self.left:
            raise damaged(self.path, f"It claims {count:,} {things}, for which it is too short.")
        return count

    def length(self, what: str, limit: int) -> int:
        """The length of a text whose bytes follow."""
        length = self.u64()
        if length > min(limit, self.left):
            raise damaged(self.path, f"{what.capitalize()} claims {length:,} bytes.")
        return length

    def name(self, what: str) -> str:
        """A text that things are known by, in strict UTF-8."""
        length = self.length(what, MAX_NAME_BYTES)
        start = self.skip(length)
        try:
            return self.data[start : start + length].decode()
        except UnicodeDecodeError as error:
            raise damaged(self.path, f"{what.capitalize()} is not UTF-8.") from error

    def text(self) -> str:
        """A text for people; what is not UTF-8 in it is replaced."""
        length = self.length("a text in its metadata", MAX_TEXT_BYTES)
        start = self.skip(length)
        return self.data[start : start + length].decode(errors="replace")

    def take_values(self, count: int) -> None:
        """Count values that have to be walked over one by one: no file may ask for hours of that."""
        self._values_left -= count
        if self._values_left < 0:
            raise damaged(self.path, f"Its metadata has more than {MAX_VALUES:,} texts and lists.")

    def skip_texts(self, count: int) -> None:
        """Go on by so many texts, without making them."""
        data, last, offset, unpack = self.data, self._size - 8, self.offset, _U64.unpack_from
        for _ in range(count):
            if offset > last:
                raise self._too_short()
            offset += 8 + unpack(data, offset)[0]
        self.skip(offset - self.offset)

    def _too_short(self) -> CheckpointError:
        return damaged(self.path, f"Its header goes on beyond the file's end at {self._size:,} bytes.")
