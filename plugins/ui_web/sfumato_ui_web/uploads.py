"""Files that clients bring: pictures, and texts with lists of prompts; each kept once, by its content."""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sfumato.atomic import write_atomically
from sfumato.errors import BadInput, UnknownName

PREFIX = "upload:"
MOST_TEXT = 5_000_000
"""Bytes of a list of prompts."""

_DIGITS = 32
_ID = re.compile(rf"[0-9a-f]{{{_DIGITS}}}")
_PICTURES: Mapping[str, tuple[str, str]] = {
    "PNG": (".png", "image/png"),
    "JPEG": (".jpg", "image/jpeg"),
    "MPO": (".jpg", "image/jpeg"),
    "WEBP": (".webp", "image/webp"),
    "AVIF": (".avif", "image/avif"),
    "GIF": (".gif", "image/gif"),
    "BMP": (".bmp", "image/bmp"),
    "TIFF": (".tif", "image/tiff"),
}
"""What Pillow calls a format: the ending and the media type, whatever the client calls them."""
_TEXTS: Mapping[str, str] = {".json": "application/json", ".txt": "text/plain"}
_MEDIA_TYPES = {**dict(_PICTURES.values()), **_TEXTS}
_TOUCHED_AFTER = 3600.0
"""Seconds: using a file notes the time of its use no more often than that."""


@dataclass(frozen=True)
class Upload:
    """A file that was brought.

    Attributes:
        width: Of a picture as it is seen, in pixels; 0 for a text.
    """

    id: str
    path: Path
    kind: Literal["picture", "text"]
    media_type: str
    size: int
    width: int = 0
    height: int = 0

    @property
    def name(self) -> str:
        """What requests call it."""
        return PREFIX + self.id


class Uploads:
    """The folder of uploads.

    Args:
        settings: The settings in force: ``general.data_folder``, ``saving.largest_megapixels`` and ``web``.

    Attributes:
        most: Bytes that a file may have.
    """

    def __init__(self, settings: Any) -> None:
        self.folder = Path(settings.general.data_folder).absolute() / "uploads"
        self._real = os.path.realpath(self.folder)
        self._megapixels = getattr(getattr(settings, "saving", None), "largest_megapixels", 178)
        web = getattr(settings, "web", None)
        self.most = (web.upload_megabytes if web else 64) << 20
        self._days = web.upload_days if web else 30

    def add(self, data: bytes, name: str = "") -> Upload:
        """Keep a file.

        Args:
            name: What the client calls it: tells a list of prompts from a picture, and nothing else.

        Raises:
            BadInput: it is too large, or neither a picture of a known format nor a text.
        """
        if len(data) > self.most:
            raise BadInput("The file is too large.", why=f"{self.most >> 20} MiB are taken.")
        ending = Path(name.replace("\0", "")).suffix.lower()
        if ending in _TEXTS:
            _check_text(data, ending)
        else:
            ending = self._ending_of_picture(data)
        identity = hashlib.sha256(data).hexdigest()[:_DIGITS]
        path = self.folder / f"{identity}{ending}"
        if path.is_file():
            os.utime(path)
        else:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_atomically(path, data)
        return self._told(path)

    def get(self, identity: str) -> Upload:
        """Raises `UnknownName` when there is none of that id (any more)."""
        path = self._find(identity)
        if path is None:
            raise UnknownName("upload", identity, (), hint="Uploads that nobody uses expire: bring it again.")
        if time.time() - path.stat().st_mtime > _TOUCHED_AFTER:
            os.utime(path)
        return self._told(path)

    def path_of(self, identity: str) -> Path:
        """The file alone; raises as `get`."""
        return self.get(identity).path

    def name_of(self, path: str) -> str:
        """ "upload:<id>" for the path of one; nothing for any other text."""
        if not path.startswith((str(self.folder), self._real)):
            return ""
        found = Path(path)
        is_ours = str(found.parent) in (str(self.folder), self._real) and _ID.fullmatch(found.stem)
        return PREFIX + found.stem if is_ours else ""

    def sweep(self, kept: Iterable[str] = ()) -> int:
        """Remove what has not been used for the days that the settings give; how many that were.

        Args:
            kept: Ids that work in the queue needs, however old they are.
        """
        if not self._days:
            return 0
        needed, oldest = set(kept), time.time() - self._days * 86400
        expired = [path for path in self._files() if path.stem not in needed and _used(path) < oldest]
        for path in expired:
            path.unlink(missing_ok=True)
        return len(expired)

    def _files(self) -> Iterator[Path]:
        if self.folder.is_dir():
            yield from (path for path in self.folder.iterdir() if _ID.fullmatch(path.stem))

    def _find(self, identity: str) -> Path | None:
        if not _ID.fullmatch(identity):
            return None
        paths = (self.folder / f"{identity}{ending}" for ending in _MEDIA_TYPES)
        return next((path for path in paths if path.is_file()), None)

    def _told(self, path: Path) -> Upload:
        kind: Literal["picture", "text"] = "text" if path.suffix in _TEXTS else "picture"
        width, height = (0, 0) if kind == "text" else self._size(path)
        return Upload(path.stem, path, kind, _MEDIA_TYPES[path.suffix], path.stat().st_size, width, height)

    def _size(self, source: Path | bytes) -> tuple[int, int]:
        from sfumato_pictures.reading import read_size

        return read_size(source, largest_megapixels=self._megapixels)

    def _ending_of_picture(self, data: bytes) -> str:
        """By the content; raises `BadInput` for what is no picture, too large to be read, or damaged."""
        import io

        from PIL import Image

        self._size(data)
        try:
            with Image.open(io.BytesIO(data), formats=[name for name in _PICTURES if name != "MPO"]) as image:
                image.verify()
                return _PICTURES[str(image.format)][0]
        except Exception as error:  # decoders raise anything for damaged files
            raise BadInput("The picture is damaged.", why=f"{error}.", hint="Save it anew.") from error


def uploads_in(value: Any) -> Iterator[str]:
    """Ids of uploads that a request names or whose paths are in it, wherever that is."""
    if isinstance(value, str):
        name = value.removeprefix(PREFIX) if value.startswith(PREFIX) else Path(value[-64:]).stem
        if _ID.fullmatch(name):
            yield name
    elif isinstance(value, dict):
        for part in value.values():
            yield from uploads_in(part)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from uploads_in(part)


def _used(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # removed meanwhile
        return time.time()


def _check_text(data: bytes, ending: str) -> None:
    """Raises `BadInput` for what is no text in UTF-8, or no JSON although it is called that."""
    import json

    if len(data) > MOST_TEXT:
        raise BadInput("The list of prompts is too long.", why=f"{MOST_TEXT // 1_000_000} MB are taken.")
    try:
        text = data.decode("utf-8-sig")
        if "\0" in text:
            raise BadInput("The file is no text.", why="It has NUL characters in it.")
        if ending == ".json":
            json.loads(text)
    except (ValueError, RecursionError) as error:
        what = "The file is no text in UTF-8." if isinstance(error, UnicodeError) else "The file is no JSON."
        raise BadInput(what, why=f"{error}.") from error
