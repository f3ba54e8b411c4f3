"""What the page System tells of the machine and of the studio's own files."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from flask_babel import gettext

from sfumato.jobs.logs import log_path
from sfumato.tasks import Lane

if TYPE_CHECKING:
    from sfumato.studio import Studio

PACKAGES = ("torch", "flask", "pydantic", "pillow", "safetensors", "sqlalchemy")
LOG_BYTES = 64 * 1024
"""Of a log file's end that is shown at most."""


@dataclass(frozen=True)
class Folder:
    """A folder of the studio and the room on its disk, in bytes; 0 where it is not known."""

    label: str
    path: str
    exists: bool
    free: int = 0
    total: int = 0

    @property
    def used_percent(self) -> int:
        return round(100 * (self.total - self.free) / self.total) if self.total else 0


def versions() -> list[tuple[str, str]]:
    """Of what the studio runs on; told by installed metadata, so nothing is imported."""
    from sfumato import __version__

    found = [
        ("Sfumato", __version__),
        ("Python", platform.python_version()),
        (gettext("Operating system"), f"{platform.system()} {platform.release()} ({platform.machine()})"),
    ]
    return found + [(name, text) for name in PACKAGES if (text := _version(name))]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def folders(studio: Studio) -> Iterator[Folder]:
    """Where pictures, data and models are."""
    general = studio.settings.general
    yield _folder(gettext("Pictures"), general.output_folder)
    yield _folder(gettext("Data"), general.data_folder)
    for folder in general.model_folders:
        yield _folder(gettext("Models"), folder)


def _folder(label: str, path: Path) -> Folder:
    absolute = path.absolute()
    existing = next((part for part in (absolute, *absolute.parents) if part.exists()), absolute)
    try:
        usage = shutil.disk_usage(existing)
    except OSError:
        return Folder(label, str(absolute), absolute.exists())
    return Folder(label, str(absolute), absolute.exists(), usage.free, usage.total)


def database_size(studio: Studio) -> int | None:
    """Bytes of the SQLite file with its write-ahead log; None for another database."""
    if studio.settings.jobs.database:
        return None
    file = studio.settings.general.data_folder / "studio.db"
    parts = [file, *(file.with_name(file.name + ending) for ending in ("-wal", "-shm"))]
    return sum(part.stat().st_size for part in parts if part.is_file())


def log_tail(studio: Studio, lane: str) -> str | None:
    """The end of a lane's own log, whole lines; None where the lane has none."""
    if lane not in get_args(Lane):  # no path is taken from a client
        return None
    log = log_path(studio.settings.general.data_folder, lane)
    if not log.is_file():
        return None
    with log.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(size - LOG_BYTES, 0))
        text = file.read().decode("utf-8", "replace")
    return text if size <= LOG_BYTES else text.partition("\n")[2]
