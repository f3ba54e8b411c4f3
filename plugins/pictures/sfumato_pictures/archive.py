"""Pictures in one ZIP file."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from sfumato.errors import SfumatoError
from sfumato_pictures.file_names import harmless


def write_archive(target: Path, pictures: Iterable[Path]) -> Path:
    """Write a ZIP of picture files: all of it or nothing. A file that was there is replaced.

    Raises:
        SfumatoError: a picture cannot be read, or the archive not be written.
    """
    partial = target.with_name(f".{secrets.token_hex(8)}.partial")
    try:
        with partial.open("xb") as file:
            stream_archive(file, pictures)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    except OSError as error:
        what = f"The archive '{target.name}' could not be written."
        raise SfumatoError(what, why=f"{error.strerror or error}.", hint="Name another folder.") from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
    return target


def stream_archive(file: BinaryIO, pictures: Iterable[Path]) -> None:
    """The same into an open file that need not be able to seek, such as an answer on its way to a browser.

    Pictures are compressed already, so they are stored as they are, and read piece by piece. Of several with
    one name the later ones get a number; names differing only in case count as one, as on Windows.

    Raises:
        SfumatoError: a picture cannot be read; what was written is no archive then.
    """
    taken: set[str] = set()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, strict_timestamps=False) as archive:
        for path in pictures:
            entry = _entry(path, _free(path, taken))
            with _readable(path).open("rb") as source, archive.open(entry, "w") as kept:
                shutil.copyfileobj(source, kept, 1 << 20)


def _readable(path: Path) -> Path:
    if not path.is_file():
        raise SfumatoError(f"There is no picture '{path}' for the archive.", hint="Leave it out.")
    return path


def _entry(path: Path, name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo.from_file(_readable(path), name, strict_timestamps=False)
    entry.compress_type = zipfile.ZIP_STORED
    return entry


def _free(path: Path, taken: set[str]) -> str:
    """The file's name without its folders, or with the first number that makes it new."""
    stem, suffix = harmless(path.stem) or "picture", harmless(path.suffix[1:])
    name, number = f"{stem}.{suffix}", 1
    while name.lower() in taken:
        number += 1
        name = f"{stem}-{number}.{suffix}"
    taken.add(name.lower())
    return name
