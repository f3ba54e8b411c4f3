"""Files of pictures: whole or not at all, numbered, and never one over another."""

from __future__ import annotations

import errno
import itertools
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sfumato.errors import SfumatoError

_NUMBER = re.compile(r"\.?(\d{5,})[-.]")
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class PictureFolder:
    """A folder that receives pictures as ``00001-<name>.png``, ``00002-...``, or as ``<name>.png``.

    A number or a name is claimed by creating a hidden part file exclusively, so that several processes may
    save into the same folder; the part file becomes the picture once it is complete and on disk.

    Args:
        path: Made when it does not exist.
        numbered: Whether names begin with a running number; else a name that is taken gets one at its end.

    Raises:
        SfumatoError: the folder cannot be made or written to.
    """

    def __init__(self, path: Path, *, numbered: bool = True) -> None:
        self.path = path
        self._numbered = numbered
        with _explained(path):
            path.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=path):  # found by trying, and before hours of drawing
                pass

    def save(
        self,
        content: bytes,
        name: str,
        suffix: str = ".png",
        *,
        announce: Callable[[Path], None] = lambda path: None,
    ) -> Path:
        """Write a picture under the next free number, or under its name.

        Args:
            content: The whole file.
            name: Follows the number in the file name; safe characters only, may be empty.
            suffix: Of the format, with its dot.
            announce: Told of the path once all is on disk, right before the picture appears there; nothing
                else can appear under it meanwhile.

        Raises:
            SfumatoError: the disk is full or the folder not writable; nothing is left behind then.
        """
        with _explained(self.path):
            if self._numbered or not name:
                number, part = self._claim()
                final = self.path / f"{'-'.join(filter(None, (f'{number:05d}', name)))}{suffix}"
            else:
                final, part = self._claim_name(name, suffix)
            try:
                _write_through(part, content)
                announce(final)
                os.replace(part, final)
            except BaseException:  # only then: once renamed, the part's name may be another's claim
                part.unlink(missing_ok=True)
                raise
            return final

    def _claim(self) -> tuple[int, Path]:
        """A number that no picture has, and its new, empty part file."""
        while True:
            number = max(self._numbers(), default=0) + 1
            part = self.path / f".{number:05d}.part"
            try:
                part.touch(exist_ok=False)
            except FileExistsError:
                continue
            # Whoever published this number since we looked held the claim then: ours came too late.
            if any(entry.startswith((f"{number:05d}-", f"{number:05d}.")) for entry in os.listdir(self.path)):
                part.unlink(missing_ok=True)
                continue
            return number, part

    def _claim_name(self, name: str, suffix: str) -> tuple[Path, Path]:
        """The first of ``name``, ``name-1``, ``name-2`` ... that no file has, and its new part file."""
        for number in itertools.count():
            final = self.path / f"{name}{f'-{number}' if number else ''}{suffix}"
            part = final.with_name(f".{final.name}.part")
            try:
                part.touch(exist_ok=False)
            except FileExistsError:
                continue
            if not final.exists():  # looked for once the claim is ours: nobody can publish it any more
                return final, part
            part.unlink(missing_ok=True)
        raise AssertionError("counting never ends")

    def _numbers(self) -> Iterator[int]:
        for entry in os.listdir(self.path):
            found = _NUMBER.match(entry)
            if found:
                yield int(found[1])


def _write_through(path: Path, content: bytes) -> None:
    """Write and wait until the disk has it: after the rename, a power cut must not leave an empty picture."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    """Turns the system's errors into ones for people."""
    try:
        yield
    except OSError as error:
        full = error.errno in _NO_SPACE
        raise SfumatoError(
            f"The picture could not be saved in '{folder}'.",
            why="The disk is full." if full else f"{error.strerror or error}.",
            hint="Make room, or name another folder with --out; pictures saved before are complete."
            if full
            else "Name another folder with --out.",
        ) from error
