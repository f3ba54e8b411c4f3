"""Small pictures of pictures, made on demand and kept on disk within bounds."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import secrets
import threading
import time
import warnings
from pathlib import Path

from sfumato.errors import BadInput

SIZES = (128, 256, 512)
"""Longest sides, in pixels."""
LARGEST_MEGAPIXELS = 178
AT_ONCE = 2
QUALITY = 80
_FRESH_SECONDS = 86_400
"""A use is noted at most once a day: reading should not write."""
_ROOM_KEPT = 0.9
_WRITES_BETWEEN_LOOKS = 256


class Thumbnails:
    """WebP files in a cache folder, the least recently used ones deleted beyond a limit.

    Args:
        folder: Made when the first one is written.
        most_bytes: All files together, looked after now and then.
    """

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self._folder = folder
        self._most_bytes = most_bytes
        self._places = threading.BoundedSemaphore(AT_ONCE)
        self._lock = threading.Lock()
        self._writes = 0

    def get(self, path: Path, modified: float, size: int, side: int) -> tuple[Path, str]:
        """The thumbnail's file, and a tag of its content.

        Args:
            path: An existing picture, whose state is `modified` and `size`.
            side: One of `SIZES`.

        Raises:
            BadInput: the picture cannot be read, or is too large.
        """
        tag = hashlib.sha256(f"{path}\0{modified!r}\0{size}\0{side}".encode("utf-8", "replace")).hexdigest()[
            :32
        ]
        file = self._folder / tag[:2] / f"{tag[2:]}.webp"
        with self._places if not file.exists() else contextlib.nullcontext():
            if not self._touch(file):
                self._write(file, make_thumbnail(path, side))
        return file, tag

    def _touch(self, file: Path) -> bool:
        """Note that it was used; False when there is none."""
        try:
            if time.time() - file.stat().st_mtime > _FRESH_SECONDS:
                os.utime(file)
        except FileNotFoundError:
            return False
        except OSError:
            return file.exists()
        return True

    def _write(self, file: Path, content: bytes) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_name(f".{secrets.token_hex(8)}.part")
        try:
            part.write_bytes(content)
            part.replace(file)
        finally:
            part.unlink(missing_ok=True)
        with self._lock:
            self._writes += 1
            due = self._writes % _WRITES_BETWEEN_LOOKS == 1
        if due:
            self.make_room()

    def make_room(self) -> None:
        """Delete the least recently used ones until nine tenths of the limit are left."""
        files = []
        for path in self._folder.glob("??/*.webp"):
            with contextlib.suppress(OSError):
                stat = path.stat()
                files.append((stat.st_mtime, stat.st_size, path))
        total = sum(size for _, size, _ in files)
        if total <= self._most_bytes:
            return
        for _, size, path in sorted(files):
            if total <= self._most_bytes * _ROOM_KEPT:
                return
            with contextlib.suppress(OSError):
                path.unlink()
                total -= size


def make_thumbnail(path: Path, side: int) -> bytes:
    """A WebP with a longest side of at most `side` pixels, upright, transparent where the picture is.

    Raises:
        BadInput: it is no picture that can be read, or it is too large.
    """
    from PIL import Image, ImageOps

    from sfumato_pictures.reading import FORMATS

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of large pictures, which are judged here, and odd metadata
            with Image.open(path, formats=FORMATS) as image:
                width, height = image.size
                if width * height > LARGEST_MEGAPIXELS * 1e6:
                    raise BadInput(f"'{path.name}' is too large.", why=f"It has {width}x{height} pixels.")
                image.draft("RGB", (2 * side, 2 * side))
                shown = image if image.mode in ("RGB", "RGBA", "L", "P") else image.convert("RGB")
                if shown.mode == "P":
                    shown = shown.convert("RGBA" if "transparency" in image.info else "RGB")
                shown.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=2.0)
                shown = ImageOps.exif_transpose(shown)
                file = io.BytesIO()
                shown.save(file, "WEBP", quality=QUALITY, method=2)
                return file.getvalue()
    except BadInput:
        raise
    except (Image.DecompressionBombError, MemoryError) as error:
        raise BadInput(f"'{path.name}' is too large.", why=f"{error}") from error
    except Exception as error:  # damaged files bring out anything
        raise BadInput(f"'{path.name}' cannot be shown.", why=f"{type(error).__name__}: {error}.") from error
