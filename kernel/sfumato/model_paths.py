"""Paths of models: walked through, found by a name that a person typed, each file once."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

_PIECE = re.compile(r"(?P<model>.+)-(?P<number>\d{5})-of-(?P<rest>\d{5}\..+)", re.IGNORECASE | re.ASCII)


def answers_to(path: Path, name: str) -> bool:
    """Whether that is the path's name, with or without its ending and with any folders before it."""
    parts = tuple(name.replace("\\", "/").split("/"))
    return parts in (path.parts[-len(parts) :], path.with_suffix("").parts[-len(parts) :])


def existing(name: str) -> Path | None:
    """The file or folder of that path, if there is one; a name may be anything that a person typed."""
    try:
        path = Path(name).expanduser()
        return path if path.exists() else None
    except (OSError, RuntimeError, ValueError):
        return None


def walk(base: Path) -> Iterator[Path]:
    """All files below a folder, also through links; no folder is entered twice, so circles of links end."""
    entered: set[str] = set()
    for folder, folders, files in os.walk(base, followlinks=True):
        real = os.path.realpath(folder)
        if real in entered:
            folders.clear()
            continue
        entered.add(real)
        folders.sort()
        yield from (Path(folder, name) for name in files if os.path.isfile(os.path.join(folder, name)))


def each_once(paths: Iterable[Path]) -> list[Path]:
    """The first of the paths that lead to each file or folder."""
    first: dict[str, Path] = {}
    # To follow the links to each file's folder anew would cost most of the time.
    folders: dict[Path, str] = {}
    for path in paths:
        if path.is_symlink():
            real = os.path.realpath(path)
        else:
            if path.parent not in folders:
                folders[path.parent] = os.path.realpath(path.parent)
            real = os.path.join(folders[path.parent], path.name)
        first.setdefault(real, path)
    return list(first.values())


def is_later_piece(path: Path) -> bool:
    """Whether it is a piece of a split file beside the first piece, which stands for all.

    Pieces are called NAME-00001-of-00003, NAME-00002-of-00003 and so on.
    """
    match = _PIECE.fullmatch(path.name)
    if match is None or int(match["number"]) < 2:
        return False
    return path.with_name(f"{match['model']}-00001-of-{match['rest']}").is_file()


def suffix(path: Path) -> str:
    return path.suffix.lower()
