"""What is known of a file that is being written: a line for each tensor that is whole.

The first line says what the file is made of; an unfinished file of something else is not continued.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from sfumato.errors import BadInput
from sfumato.locking import take_lock


@dataclass(frozen=True)
class WrittenTensor:
    """A tensor that is written.

    Attributes:
        crc32: Of its bytes.
        squared_error: The sum over its numbers of what quantisation changed, squared.
        squares: The sum of its numbers' squares.
    """

    name: str
    type_name: str
    numbers: int
    size_bytes: int
    crc32: int
    squared_error: float
    squares: float

    @property
    def rmse(self) -> float:
        """Root of the mean squared error."""
        return float((self.squared_error / max(self.numbers, 1)) ** 0.5)

    @property
    def relative_error(self) -> float:
        """The error's size in parts of the weight's."""
        return float((self.squared_error / self.squares) ** 0.5) if self.squares else 0.0


class Journal:
    """The journal beside an unfinished file; locked until it is closed.

    Args:
        path: Its file; a missing one is made.
        key: What the file is made of.

    Attributes:
        written: The tensors that are whole, in the order of the file.
        was_stale: Whether there was one of something else, which counts no more.

    Raises:
        BadInput: another run writes the same file.
    """

    def __init__(self, path: Path, key: str) -> None:
        self.path = path
        self.written: list[WrittenTensor] = []
        self._file: BinaryIO = path.open("a+b")
        if not take_lock(self._file.fileno()):
            self._file.close()
            raise BadInput(
                f"'{path.name.removesuffix('.part.journal')}' is being written by another run.",
                hint="Wait for it, or choose another --output.",
            )
        self._file.seek(0)
        lines = self._file.read().split(b"\n")
        known = _parsed(lines[0])
        self.was_stale = bool(lines[0]) and known != {"key": key}
        if known == {"key": key}:
            self._read(lines[1:-1])  # the last line is empty, or was cut off
        self._start_over({"key": key})

    def _read(self, lines: list[bytes]) -> None:
        for line in lines:
            fields = _parsed(line)
            try:
                self.written.append(WrittenTensor(**fields))
            except TypeError:
                return

    def _start_over(self, first: dict[str, str]) -> None:
        """Write down what counts, and nothing else."""
        self._file.truncate(0)
        for line in (first, *(asdict(one) for one in self.written)):
            self._file.write(json.dumps(line).encode() + b"\n")
        self._file.flush()

    def add(self, tensor: WrittenTensor) -> None:
        """Its bytes must have left this process before."""
        self.written.append(tensor)
        self._file.write(json.dumps(asdict(tensor)).encode() + b"\n")
        self._file.flush()

    def forget(self, keep: int) -> None:
        """All but the first so many tensors do not count."""
        first = json.loads(self.path.read_bytes().split(b"\n")[0])
        del self.written[keep:]
        self._start_over(first)

    def close(self) -> None:
        self._file.close()


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
