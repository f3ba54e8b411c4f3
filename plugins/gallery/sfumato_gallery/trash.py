"""Pictures thrown away and taken back.

A picture in the trash is a file ``.trash/<milliseconds since 1970>-<name>`` beside where it lay: throwing it
away is one rename on one file system, so it is always whole and in one of both places, and its name tells
where it came from and when, whatever became of the database.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import time
from collections.abc import Sequence
from itertools import count
from pathlib import Path

from sqlalchemy import select

from sfumato.errors import BadInput, SfumatoError
from sfumato_gallery.facts import read_facts
from sfumato_gallery.folders import TRASH, allowed
from sfumato_gallery.index import Found, PictureIndex
from sfumato_gallery.records import picture_id
from sfumato_gallery.tables import PICTURES

_TRASHED = re.compile(r"(\d{13})-(.+)", re.DOTALL)
DAY = 86_400


class Trash:
    """The trash of all folders of the gallery.

    Args:
        folders: Those that pictures may lie in.
        days: How long pictures stay in it; 0 is for ever.
    """

    def __init__(self, index: PictureIndex, folders: tuple[Path, ...], days: int) -> None:
        self._index = index
        self._folders = folders
        self._days = days

    def throw_away(self, row: Found) -> str:
        """Move a picture into the trash; its id there.

        Raises `SfumatoError` when the file cannot be moved, `BadInput` when it is gone or not ours.
        """
        if row.trashed is not None:
            return str(row.id)
        path = Path(row.path)
        if allowed(path, self._folders) is None or path.is_symlink():
            raise BadInput(f"There is no picture '{row.name}' any more.", hint="Index the folder anew.")
        now = time.time()
        with _explained(row.name):
            target = _trash_folder(path.parent) / f"{int(now * 1000):013d}-{path.name}"
            _rename(path, target)
        self._index.move(row, target, trashed=now, original=row.path, original_id=row.id)
        return picture_id(target)

    def take_back(self, row: Found) -> str:
        """Move a picture to where it was, or beside what has taken its name; its id there."""
        if row.trashed is None:
            return str(row.id)
        path, wanted = Path(row.path), Path(row.original)
        if allowed(path, self._folders) is None or path.is_symlink():
            raise BadInput(f"'{wanted.name}' is not in the trash any more.")
        with _explained(wanted.name):
            target = _rename_to_free(path, wanted)
        self._index.move(row, target, trashed=None, original=None, original_id=None, missing=False)
        return picture_id(target)

    def empty(self, *, older_than: float | None = None) -> int:
        """Delete the files in the trash for good; how many there were."""
        columns = PICTURES.c
        query = select(PICTURES).where(columns.trashed.isnot(None))
        if older_than is not None:
            query = query.where(columns.trashed < older_than)
        _ = self._index.full_text
        with self._index.database.reading() as connection:
            rows = connection.execute(query).all()
        return self.delete(rows)

    def delete(self, rows: Sequence[Found]) -> int:
        """Delete these files for good, as far as they are in the trash."""
        deleted = []
        for row in rows:
            path = Path(row.path)
            if row.trashed is None or path.parent.name != TRASH:
                continue
            if os.path.lexists(path) and allowed(path, self._folders) is None:
                continue
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
                deleted.append(row.id)
            with contextlib.suppress(OSError):
                path.parent.rmdir()
        self._index.forget(deleted)
        return len(deleted)

    def expire(self) -> int:
        """Delete what has been in the trash for too long."""
        return self.empty(older_than=time.time() - self._days * DAY) if self._days else 0


def take_in_trash(index: PictureIndex, folder: Path) -> None:
    """Bring the index in line with a folder's trash: a crash may have come between file and database."""
    trash = folder / TRASH
    if trash.is_symlink():
        return
    for entry in os.scandir(trash):
        named = _TRASHED.fullmatch(entry.name)
        path = trash / entry.name
        if not named or not entry.is_file(follow_symlinks=False) or index.get_all([picture_id(path)]):
            continue
        original = folder / named[2]
        place = {
            "trashed": int(named[1]) / 1000,
            "original": str(original),
            "original_id": picture_id(original),
        }
        known = index.get_all([picture_id(original)])
        if known and not os.path.lexists(original):
            index.move(known[0], path, **place)
            continue
        with contextlib.suppress(SfumatoError, OSError, UnicodeEncodeError):
            index.put([read_facts(path)])
            index.change([picture_id(path)], name=original.name, **place)


def _trash_folder(folder: Path) -> Path:
    """Made when it is missing; a link of that name would lead out of the gallery."""
    trash = folder / TRASH
    trash.mkdir(exist_ok=True)
    if not stat.S_ISDIR(trash.lstat().st_mode):
        raise OSError(errno.ELOOP, "it is a link, which is not followed", str(trash))
    return trash


def _rename(source: Path, target: Path) -> None:
    """To a name that is free, or `FileExistsError`."""
    try:
        os.link(source, target, follow_symlinks=False)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from None
        os.rename(source, target)
    else:
        os.unlink(source)


def _rename_to_free(source: Path, wanted: Path) -> Path:
    wanted.parent.mkdir(parents=True, exist_ok=True)
    for number in count():
        target = wanted.with_name(f"{wanted.stem}-{number}{wanted.suffix}") if number else wanted
        with contextlib.suppress(FileExistsError):
            _rename(source, target)
            return target
    raise AssertionError("counting never ends")


class _explained(contextlib.AbstractContextManager[None]):
    """Turns the system's errors into ones for people."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            raise SfumatoError(
                f"'{self._name}' could not be moved.",
                why=f"{error.strerror or error}.",
                hint="Check that its folder may be written to.",
            ) from error
