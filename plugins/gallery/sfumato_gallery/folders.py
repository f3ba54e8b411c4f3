"""Where the gallery's pictures may lie: nothing outside these folders is shown, moved or read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sfumato.database import Database

TRASH = ".trash"
"""A hidden folder beside the pictures that were thrown away, on their file system."""


def picture_folders(settings: Any) -> tuple[Path, ...]:
    """The output folder and those that the gallery's settings name; they need not exist."""
    folders = (settings.general.output_folder, *settings.gallery.folders)
    return tuple(dict.fromkeys(Path(folder).expanduser().absolute() for folder in folders))


def allowed(path: Path, folders: tuple[Path, ...]) -> Path | None:
    """The file itself, all links followed, when it is one and lies below one of the folders; else None."""
    try:
        real = path.resolve(strict=True)
        inside = any(real.is_relative_to(folder.resolve()) for folder in folders)
    except (OSError, RuntimeError, ValueError):
        return None
    return real if inside and real.is_file() else None


def is_below(path: Path, folders: tuple[Path, ...]) -> bool:
    """As the paths are written; the file need not exist."""
    return any(path.is_relative_to(folder) for folder in folders)


def database_of(settings: Any) -> Database:
    """The studio's database, for work that runs in a process without the studio."""
    url = settings.jobs.database
    return Database(url) if url else Database.in_folder(settings.general.data_folder)
