"""The journal of a grid: which cells are done, so that one that was cut short goes on where it was.

A hidden file of JSON lines in the output folder, named by the grid's content. Each line is appended in one
write and flushed to disk; one that was cut off by a crash is passed over.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sfumato.errors import SfumatoError
from sfumato.locking import take_lock
from sfumato.records import ImageRecord
from sfumato.request import GenerationRequest, GridRequest
from sfumato_grids.seeds import SeedSource

FORMAT = 1
_APPENDING = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
_SHOWN = 16
"""Characters of a hash that tell things apart."""


@dataclass(frozen=True)
class Begun:
    """A cell that was being drawn when its grid was cut short.

    Attributes:
        when: In seconds since 1970.
    """

    key: str
    when: float


@dataclass
class Journal:
    """What is known of earlier runs, and where this one is written down.

    Attributes:
        path: The file, which may not exist yet.
        seeds: Where open seeds come from; the same in each run.
        done: Pictures by the key of their cell or sheet; they may be gone by now.
        begun: The cell that was not finished, if there is one.
    """

    path: Path
    seeds: SeedSource = field(default_factory=SeedSource.fresh)
    done: dict[str, tuple[ImageRecord, ...]] = field(default_factory=dict)
    begun: Begun | None = None
    _resumes: bool = True
    _known: bool = False

    @classmethod
    def of(cls, request: GridRequest, folder: Path) -> Journal:
        """The journal of a grid in an output folder, read as far as it goes; empty where it is not to resume.

        Raises:
            SfumatoError: there is one, but it cannot be read.
        """
        content = request.model_dump_json(exclude={"resume"})
        journal = cls(folder / f".grid-{_hash(content)}.jsonl", _resumes=request.resume)
        try:
            if request.resume and journal.path.is_file():
                journal._read(journal.path.read_bytes())
        except OSError as error:
            raise _unusable(journal.path, error) from error
        return journal

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other runs of the same grid away from the folder; one that does not resume forgets the old.

        Raises:
            SfumatoError: another run is at it, or nothing can be written.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path, _APPENDING, 0o666)
        except OSError as error:
            raise _unusable(self.path, error) from error
        try:
            if not take_lock(descriptor):
                raise SfumatoError(
                    f"This grid is being drawn in '{self.path.parent}' already.",
                    why="Another run has its journal open.",
                    hint="Wait for it, stop it, or name another folder with --out.",
                )
            if not self._resumes:
                os.ftruncate(descriptor, 0)
            yield
        finally:
            os.close(descriptor)

    def finished(self, key: str) -> tuple[ImageRecord, ...]:
        """The pictures of a cell or sheet that is done, if all their files are still there."""
        images = self.done.get(key, ())
        return images if all(image.path.is_file() for image in images) else ()

    def begin(self, key: str) -> None:
        """Write down that a cell is being drawn. Raises `SfumatoError` when nothing can be written."""
        self._append({"begun": key, "when": time.time()})

    def finish(self, key: str, images: Sequence[ImageRecord]) -> None:
        """Write down that it is done. Raises `SfumatoError` when nothing can be written."""
        told = [image.model_copy(update={"path": self._relative(image.path)}) for image in images]
        self._append({"done": key, "images": [image.model_dump(mode="json") for image in told]})
        self.done[key] = tuple(images)

    def fail(self, key: str, why: str) -> None:
        """Write down that it cannot be drawn; a later run tries again."""
        self._append({"failed": key, "why": why})

    def _relative(self, path: Path) -> Path:
        folder = self.path.parent
        return path.relative_to(folder) if path.is_relative_to(folder) else path.absolute()

    def _read(self, content: bytes) -> None:
        for line in content.split(b"\n"):
            try:
                entry = json.loads(line)
                self._take(entry)
            except (ValueError, KeyError, TypeError, AttributeError):  # ValidationError is a ValueError
                continue  # cut off, or not ours

    def _take(self, entry: dict[str, Any]) -> None:
        if "entropy" in entry:
            self.seeds, self._known = SeedSource(int(entry["entropy"])), True
        elif "begun" in entry:
            self.begun = Begun(str(entry["begun"]), float(entry["when"]))
        elif "done" in entry:
            images = [ImageRecord.model_validate(image) for image in entry["images"]]
            located = [image.model_copy(update={"path": self.path.parent / image.path}) for image in images]
            self.done[str(entry["done"])] = tuple(located)
            self.begun = None
        elif "failed" in entry:
            self.begun = None

    def _append(self, entry: dict[str, Any]) -> None:
        entries = [entry] if self._known else [{"format": FORMAT, "entropy": self.seeds.entropy}, entry]
        text = "".join(json.dumps(each) + "\n" for each in entries)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path, _APPENDING, 0o666)
            try:
                os.write(descriptor, (_line_end(descriptor) + text).encode())
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise _unusable(self.path, error) from error
        self._known = True


def cell_key(request: GenerationRequest) -> str:
    """Equal only for requests that give the same pictures; start pictures and masks are looked at."""
    files = [
        request.img2img and request.img2img.image,
        request.inpaint and request.inpaint.mask,
        *request.regions,
    ]
    return _hash(request.model_dump_json() + "".join(_state(file) for file in files if file))


def sheet_key(cells: Sequence[str], about: str) -> str:
    """Equal only for sheets of the same cells with the same legends."""
    return _hash("sheet" + about + "".join(cells))


def _state(path: Path) -> str:
    try:
        stat = path.expanduser().stat()
    except (OSError, RuntimeError, ValueError):  # a path may be anything that a person typed
        return f"{path} is gone"
    return f"{path} {stat.st_size} {stat.st_mtime_ns}"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_SHOWN]


def _line_end(descriptor: int) -> str:
    """What ends a line that a crash has cut off."""
    size = os.lseek(descriptor, 0, os.SEEK_END)
    if not size:
        return ""
    os.lseek(descriptor, size - 1, os.SEEK_SET)
    return "" if os.read(descriptor, 1) == b"\n" else "\n"


def _unusable(path: Path, error: OSError) -> SfumatoError:
    return SfumatoError(
        f"The journal of the grid in '{path.parent}' cannot be used.",
        why=f"{error.strerror or error}.",
        hint="Make room, or name another folder with --out; pictures saved before are kept.",
    )
