"""One studio's gallery: index, thumbnails, trash, and keeping them current while a server runs."""

from __future__ import annotations

import json
import logging
import threading
import time
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from sfumato_gallery.folders import allowed, picture_folders
from sfumato_gallery.following import Follower
from sfumato_gallery.index import Found, PictureIndex
from sfumato_gallery.thumbnails import Thumbnails
from sfumato_gallery.trash import Trash

if TYPE_CHECKING:
    from sfumato.studio import Studio

log = logging.getLogger(__name__)

INDEXED = "indexed_folders"
CALM_SECONDS = 1.0
"""The first page comes before any indexing."""
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 120.0


class Gallery:
    """What pages and routes work with; nothing is opened before it is used."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self.folders = picture_folders(studio.settings)
        self._started = False
        self._lock = threading.Lock()
        self._stop = threading.Event()

    @cached_property
    def index(self) -> PictureIndex:
        return PictureIndex(self.studio.database)

    @cached_property
    def follower(self) -> Follower:
        return Follower(self.studio.jobs, self.index, self.folders)

    @cached_property
    def trash(self) -> Trash:
        return Trash(self.index, self.folders, self.studio.settings.gallery.trash_days)

    @cached_property
    def thumbnails(self) -> Thumbnails:
        settings = self.studio.settings
        return Thumbnails(
            Path(settings.general.data_folder) / "thumbnails",
            settings.gallery.thumbnail_megabytes * 1_000_000,
        )

    def find(self, id: str) -> Found | None:
        """A picture, also one that was saved only just now."""
        found = self.index.get(id)
        if found is None:
            self.follower.catch_up()
            found = self.index.get(id)
        return found

    def file(self, row: Found) -> Path | None:
        """The picture's file, links followed; None when it is gone or lies where it must not."""
        return allowed(Path(row.path), self.folders)

    # While a server runs

    def start(self) -> None:
        """Keep the index current from now on; returns at once, and does nothing the second time."""
        with self._lock:
            if self._started:
                return
            self._started = True
        threading.Thread(target=self._keep_current, name="gallery", daemon=True).start()

    def stop(self) -> None:
        self._stop.set()

    def _keep_current(self) -> None:
        pause = FIRST_PAUSE
        if self._stop.wait(CALM_SECONDS):
            return
        while not self._stop.is_set():
            begun = time.monotonic()
            try:
                self.index_if_needed()
                self.trash.expire()
                self.follower.follow(self._stop)
                return
            except Exception as error:  # the database may be away for a while
                log.warning("The gallery could not follow the jobs: %s", error)
                log.debug("The gallery could not follow the jobs", exc_info=True)
            pause = FIRST_PAUSE if time.monotonic() - begun > LONGEST_PAUSE else min(2 * pause, LONGEST_PAUSE)
            self._stop.wait(pause)

    def index_if_needed(self) -> bool:
        """Queue the work of indexing when a folder was changed since it was last queued."""
        state = json.dumps({str(folder): _state_of(folder) for folder in self.folders}, sort_keys=True)
        if self.index.state(INDEXED) == state:
            return False
        self.studio.jobs.submit("index_pictures", {}, label="Index pictures", key=f"index:{time.time()}")
        self.index.set_state(INDEXED, state)
        return True


def _state_of(folder: Path) -> list[float]:
    """Modification times of a folder and those in it: what is new in one of them changes its own."""
    try:
        inner = [entry.stat().st_mtime for entry in folder.iterdir()
                 if entry.is_dir() and not entry.name.startswith(".")]  # fmt: skip
        return [folder.stat().st_mtime, len(inner), max(inner, default=0.0)]
    except OSError:
        return []
