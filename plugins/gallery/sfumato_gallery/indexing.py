"""The task ``index_pictures``: folders looked through for pictures that are new, changed or gone."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

from sfumato.errors import BadInput
from sfumato.events import PhaseStarted, StepCompleted, Warned
from sfumato.tasks import TaskContext
from sfumato_gallery.facts import read_facts
from sfumato_gallery.folders import TRASH, database_of, is_below, picture_folders
from sfumato_gallery.index import PictureIndex
from sfumato_gallery.records import IndexReport, IndexRequest, PictureFacts, picture_id
from sfumato_gallery.trash import take_in_trash

BATCH = 100
"""Pictures written at once: others wait for the database no longer than that takes."""
MOST_TOLD = 100
_SECONDS_BETWEEN_EVENTS = 0.5


def index_pictures(request: IndexRequest, context: TaskContext) -> IndexReport:
    """Files as they were when last read are not read again; damaged ones are skipped and reported.

    Raises:
        BadInput: a folder is not one of the gallery.
        Cancelled: what was found until then is kept.
    """
    mine = picture_folders(context.settings)
    folders = tuple(folder.absolute() for folder in request.folders) or mine
    strangers = [folder for folder in folders if not is_below(folder, mine)]
    if strangers:
        raise BadInput(
            f"'{strangers[0]}' is no folder of the gallery.", hint="Add it to the setting gallery.folders."
        )
    database = database_of(context.settings)
    try:
        work = _Indexing(PictureIndex(database), context)
        for folder in _outermost(folders):
            work.look_through(folder)
        work.finish()
        return work.report()
    finally:
        database.close()


class _Indexing:
    """One run over folders."""

    def __init__(self, index: PictureIndex, context: TaskContext) -> None:
        self._index = index
        self._context = context
        self._batch: list[PictureFacts] = []
        self._skipped: list[str] = []
        self._found = self._added = self._unchanged = self._missing = 0
        self._gone: list[str] = []
        self._told = 0.0

    def look_through(self, folder: Path) -> None:
        events, known = self._context.events, self._index.states_below(folder)
        events.emit(PhaseStarted(phase="listing", detail=str(folder)))
        if not folder.is_dir():  # a drive that is not there now: its pictures are not gone for good
            return
        files = list(self._files(folder))
        events.emit(PhaseStarted(phase="indexing", detail=str(folder)))
        for position, path in enumerate(files):
            self._context.cancel.check()
            self._tell(position, len(files))
            state = known.pop(picture_id(path), None)
            self._look_at(path, state)
        self._flush()
        self._tell(len(files), len(files), always=True)
        gone = [
            id for id, (path, _, _, missing) in known.items() if not missing and not os.path.lexists(path)
        ]
        self._index.mark_missing(gone)
        self._gone += gone
        self._missing += len(gone)

    def finish(self) -> None:
        self._index.adopt(self._gone)

    def report(self) -> IndexReport:
        return IndexReport(
            found=self._found, added=self._added, unchanged=self._unchanged, missing=self._missing,
            skipped=tuple(self._skipped[:MOST_TOLD]), skipped_total=len(self._skipped),
        )  # fmt: skip

    def _files(self, folder: Path) -> Iterator[Path]:
        """Pictures below, as they are named; links, hidden files and hidden folders are not followed."""
        from sfumato_pictures.reading import SUFFIXES

        for here, folders, names in os.walk(folder):
            self._context.cancel.check()
            if TRASH in folders:
                take_in_trash(self._index, Path(here))
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(names):
                if name.lower().endswith(SUFFIXES) and not name.startswith("."):
                    path = Path(here, name)
                    if not path.is_symlink():
                        yield path

    def _look_at(self, path: Path, state: tuple[str, float, int, bool] | None) -> None:
        self._found += 1
        try:
            str(path).encode()
            stat = path.stat()
            if state and state[1:] == (stat.st_mtime, stat.st_size, False):
                self._unchanged += 1
                return
            self._batch.append(read_facts(path, stat))
        except UnicodeEncodeError:
            self._skip(path, "Its name is no text.")
        except FileNotFoundError:
            self._found -= 1
        except (BadInput, OSError) as error:
            self._skip(path, str(error))
        if len(self._batch) >= BATCH:
            self._flush()

    def _skip(self, path: Path, reason: str) -> None:
        name = str(path).encode("utf-8", "replace").decode()
        self._skipped.append(f"{name}: {reason}")
        if len(self._skipped) <= MOST_TOLD:
            self._context.events.emit(Warned(message=f"Left out of the gallery: {self._skipped[-1]}"))

    def _flush(self) -> None:
        if self._batch:
            self._added += self._index.put(self._batch)
            self._batch = []

    def _tell(self, done: int, total: int, always: bool = False) -> None:
        now = time.monotonic()
        if total and (always or now - self._told >= _SECONDS_BETWEEN_EVENTS):
            self._told = now
            self._context.events.emit(StepCompleted(step=done, steps=total))


def _outermost(folders: tuple[Path, ...]) -> list[Path]:
    """Without those that lie in others: their pictures are found there."""
    return [
        folder
        for folder in folders
        if not any(other != folder and folder.is_relative_to(other) for other in folders)
    ]
