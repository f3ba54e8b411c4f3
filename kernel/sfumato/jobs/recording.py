"""What happens to the job that a worker is at, written to the database.

Pictures are written before they appear and once they are there, while the work waits. Steps are not waited
for: those that come while others are written go together with the next.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, insert, update

from sfumato.errors import Cancelled
from sfumato.events import Event, ImageSaved, ImageSaving, StepCompleted, Warned
from sfumato.jobs import previews, progress
from sfumato.jobs.records import JobProgress, JobState, Preview
from sfumato.jobs.recovery import Cause, recover, settle_images
from sfumato.jobs.store import Store, end, keep_events, row_of
from sfumato.jobs.tables import IMAGES, JOBS
from sfumato.records import ImageRecord

log = logging.getLogger(__name__)

PATIENCE = 60.0
"""Seconds for which a picture that cannot be written down holds the work up, before it is given up."""
LONGEST_PAUSE = 5.0


class TakenAway(Cancelled):
    """The job is not this worker's any more."""


@dataclass
class Pending:
    """What has happened and is not written yet."""

    events: list[tuple[float, str, dict[str, Any]]] = field(default_factory=list)
    images: list[tuple[ImageRecord, bool]] = field(default_factory=list)
    preview: Preview | None = None

    def __bool__(self) -> bool:
        return bool(self.events or self.images)

    def before(self, later: Pending) -> Pending:
        return Pending(self.events + later.events, self.images + later.images, later.preview or self.preview)


class Recorder:
    """Listens to the events of one running job.

    Args:
        job: The job's row; its column `worker` tells whose it is.
        tell: Called after each commit.

    Attributes:
        failure: Why the work was given up: what happened could not be written down.
        is_closing: The work is over, and its end is being written.
    """

    def __init__(self, store: Store, job: Row[Any], tell: Callable[[], None]) -> None:
        self._store = store
        self._job = job
        self._tell = tell
        self._mine = (
            (JOBS.c.number == job.number) & (JOBS.c.worker == job.worker) & (JOBS.c.state == "running")
        )
        self._pending = Pending()
        self._collecting = threading.Lock()
        self._writing = threading.Lock()
        self._warnings: list[str] = list(job.warnings or ())
        with store.reading() as connection:
            self._progress = JobProgress(preview=previews.last_number(connection, job.id))
        self.failure: Exception | None = None
        self.is_closing = False

    def __call__(self, event: Event) -> None:
        """Take an event over; of a picture it returns once that is written.

        Raises `Cancelled` when a picture could not be written down for long, or the job was taken away.
        """
        with self._collecting:
            self._take(event)
        if isinstance(event, (ImageSaving, ImageSaved)):
            self._flush_surely()

    def flush(self) -> None:
        """Write what has happened since the last time; kept for the next time when that fails."""
        with self._writing:
            pending = self._taken()
            if not pending:
                return
            try:
                with self._store.writing() as connection:
                    self._write(connection, pending)
            except TakenAway:
                raise
            except BaseException:
                self._put_back(pending)
                raise
        self._tell()

    def finish(self, state: JobState, **values: Any) -> None:
        """Close the job, with what had happened before, in one transaction; tried until it works."""

        def close(connection: Connection, row: Row[Any]) -> None:
            if state == "done":
                whole = {"fraction": 1.0, "seconds_left": None}
                values["progress"] = self._progress.model_copy(update=whole).model_dump(mode="json")
            end(connection, row, state, **values)

        self._close(close)

    def give_back(self, why: str) -> None:
        """Queue the job again as if this attempt had not been; one that was to be cancelled is."""
        self._close(lambda connection, row: recover(connection, row, Cause(why, counts=False), 0))

    def _close(self, close: Callable[[Connection, Row[Any]], None]) -> None:
        pause = 0.1
        self.is_closing = True
        while True:
            with self._writing:
                pending = self._taken()
                try:
                    with self._store.writing() as connection:
                        self._write(connection, pending)
                        settle_images(connection, self._job)
                        close(connection, row_of(connection, self._job.id))
                    break
                except TakenAway:
                    return
                except Exception:
                    log.exception("The end of job %s cannot be written; it is tried again", self._job.id)
                    self._put_back(pending)
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
        self._tell()

    def _take(self, event: Event) -> None:
        data = event.model_dump(mode="json", exclude={"kind", "preview"})
        now = progress.after(event, self._progress)
        if now is not None:
            self._progress = now
            data["progress"] = now.model_dump(mode="json")
            if isinstance(event, StepCompleted) and event.preview:
                self._pending.preview = Preview(now.preview, event.preview)
        elif isinstance(event, (ImageSaving, ImageSaved)):
            self._pending.images.append((event.image, isinstance(event, ImageSaved)))
        elif isinstance(event, Warned):
            self._warnings.append(event.message)
        if not isinstance(event, ImageSaving):
            self._pending.events.append((time.time(), event.kind, data))

    def _flush_surely(self) -> None:
        give_up = time.monotonic() + PATIENCE
        while True:
            try:
                return self.flush()
            except TakenAway:
                raise
            except Exception as error:
                log.exception("A picture of job %s cannot be written down", self._job.id)
                if time.monotonic() > give_up:
                    self.failure = error
                    raise Cancelled("What the work had made could not be written down.") from error
            time.sleep(0.5)

    def _taken(self) -> Pending:
        with self._collecting:
            pending, self._pending = self._pending, Pending()
        return pending

    def _put_back(self, pending: Pending) -> None:
        with self._collecting:
            self._pending = pending.before(self._pending)

    def _write(self, connection: Connection, pending: Pending) -> None:
        values = {"progress": self._progress.model_dump(mode="json"), "warnings": self._warnings}
        if not connection.execute(update(JOBS).where(self._mine).values(values)).rowcount:
            raise TakenAway("The job is not at this worker any more.")
        for image, saved in pending.images:
            _keep_image(connection, self._job.id, image, saved)
        if pending.preview is not None:
            previews.keep(connection, self._job.id, pending.preview)
        keep_events(connection, self._job.id, self._job.owner, pending.events)


def _keep_image(connection: Connection, job: str, image: ImageRecord, saved: bool) -> None:
    same = (IMAGES.c.job == job) & (IMAGES.c.path == str(image.path))
    values = {"saved": saved, "record": image.model_dump(mode="json")}
    if not connection.execute(update(IMAGES).where(same).values(values)).rowcount:
        connection.execute(insert(IMAGES).values(job=job, path=str(image.path), **values))
