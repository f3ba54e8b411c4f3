"""Pictures of jobs taken into the index as they are saved, from the jobs' own events.

The number of the last event that was handled is kept in the transaction that keeps its pictures: nothing is
missed while no server runs, and nothing is taken twice.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from sfumato.errors import SfumatoError
from sfumato_gallery.facts import recorded_facts
from sfumato_gallery.folders import is_below
from sfumato_gallery.index import PictureIndex
from sfumato_gallery.records import PictureFacts

if TYPE_CHECKING:
    from sfumato.jobs.queue import JobQueue
    from sfumato.jobs.records import JobEvent

log = logging.getLogger(__name__)

SEEN = "last_event"
_PORTION = 1000


class Follower:
    """Hands what jobs save to the index; safe to call from many threads.

    Args:
        folders: Pictures that lie elsewhere are no business of the gallery.
    """

    def __init__(self, jobs: JobQueue, index: PictureIndex, folders: tuple[Path, ...]) -> None:
        self._jobs = jobs
        self._index = index
        self._folders = folders
        self._lock = threading.Lock()
        self._seen: int | None = None

    def catch_up(self) -> int:
        """Take in everything saved until now; the last event's number."""
        with self._lock:
            seen = self._last_seen()
            if self._jobs.last_event() <= seen:
                return seen
            while events := self._jobs.events(after=seen, limit=_PORTION):
                self._take(events)
                seen = self._seen = events[-1].seq
            return seen

    def follow(self, stop: threading.Event) -> None:
        """Until `stop` is set; a picture is in the index moments after it is saved."""
        seen = self.catch_up()
        following = self._jobs.follow(after=seen, heartbeat=5.0)
        try:
            for event in following:
                if stop.is_set():
                    return
                if event is not None and event.kind == "image_saved":
                    self.catch_up()
        finally:
            close = getattr(following, "close", None)
            if close:
                close()

    def _last_seen(self) -> int:
        if self._seen is None:
            self._seen = int(self._index.state(SEEN) or 0)
        return self._seen

    def _take(self, events: Iterable[JobEvent]) -> None:
        last, pictures = 0, []
        for event in events:
            last = event.seq
            if event.kind == "image_saved":
                pictures += self._facts(event)
        self._index.put(pictures, {SEEN: str(last)})

    def _facts(self, event: JobEvent) -> list[PictureFacts]:
        try:
            record = event.data["image"]
            path = Path(record["path"]).absolute()
            if not is_below(path, self._folders):
                return []
            facts = recorded_facts(record, event.job, self._place(event.job, path))
        except (LookupError, TypeError, ValueError) as error:  # a record of another version
            log.warning("A saved picture could not be taken into the gallery: %s", error)
            return []
        return [facts] if facts else []

    def _place(self, job: str, path: Path) -> int | None:
        """Which of the job's pictures it is, from 0."""
        try:
            images = self._jobs.get(job).images
        except SfumatoError:  # forgotten meanwhile
            return None
        return next((n for n, image in enumerate(images) if image.path.absolute() == path), None)
