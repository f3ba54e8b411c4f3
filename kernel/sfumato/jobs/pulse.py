"""Beside the work: events are written, wishes heard, signs of life given."""

from __future__ import annotations

import faulthandler
import logging
import os
import threading
import time
from typing import TYPE_CHECKING

from sqlalchemy import insert, update

from sfumato.jobs.attempt import Attempt
from sfumato.jobs.logs import last_lines, log_path
from sfumato.jobs.store import Store
from sfumato.jobs.tables import WORKERS
from sfumato.jobs.wire import Words
from sfumato.machine import process_memory
from sfumato.memory import snapshot
from sfumato.memory_log import MemoryLog
from sfumato.watchdog import in_one_line

if TYPE_CHECKING:
    from sfumato.studio import Studio

log = logging.getLogger(__name__)

WRITE_SECONDS = 0.05
LOOK_SECONDS = 0.2
BEAT_SECONDS = 2.0
IDLE_BEAT_SECONDS = 10.0
SECONDS_AFTER_ERROR = 1.0


class Pulse:
    """A thread that goes on while the worker works.

    Attributes:
        attempt: What the worker is at.
        wake: Set when there may be a wish about it.
    """

    def __init__(self, studio: Studio, store: Store, words: Words, lane: str, place: str) -> None:
        self._studio = studio
        self._store = store
        self._words = words
        self._lane = lane
        self._place = place
        self._started = time.time()
        self._ended = False
        self._sampled = _MemorySamples(studio)
        self.attempt: Attempt | None = None
        self.wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sfumato-pulse", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self._ended = True
        self.wake.set()
        self._thread.join(BEAT_SECONDS)

    def begin(self, attempt: Attempt | None) -> None:
        """The worker is at this from now on; None: at nothing."""
        self.attempt = attempt
        self._tell()
        self.wake.set()

    def _run(self) -> None:
        looks = beats = 0.0
        while not self._ended:
            attempt, now = self.attempt, time.monotonic()
            asked = self.wake.is_set()
            self.wake.clear()
            try:
                if attempt is not None:
                    attempt.recorder.flush()
                    if asked or now >= looks:
                        attempt.look()
                        looks = now + LOOK_SECONDS
                    self._end_if_deaf(attempt)
                if now >= beats:
                    self._beat(attempt)
                    beats = now + self._seconds_to_beat(attempt)
            except (
                Exception
            ) as error:  # the database is busy, the disk is full: what is missed is made up for
                log.warning("The worker cannot write to the database now: %s", error)
                self._tell()
                time.sleep(SECONDS_AFTER_ERROR)
            self.wake.wait(WRITE_SECONDS if attempt else LOOK_SECONDS)

    def _end_if_deaf(self, attempt: Attempt) -> None:
        """Work that ignores its token cannot be ended but with its process; another one comes at once."""
        patience = self._studio.settings.jobs.cancel_seconds
        if not patience or not attempt.is_deaf(patience):
            return
        log.warning("Job %s did not stop within %g seconds; this is what goes on:", attempt.job.id, patience)
        faulthandler.dump_traceback(all_threads=True)
        attempt.abandon(last_lines(log_path(self._studio.settings.general.data_folder, self._lane)))
        self._words.say("bye")
        os._exit(0)

    def _seconds_to_beat(self, attempt: Attempt | None) -> float:
        patience = self._studio.settings.jobs.hang_seconds or float("inf")
        return min(BEAT_SECONDS if attempt else IDLE_BEAT_SECONDS, patience / 4)

    def _tell(self) -> None:
        self._words.say(f"busy {self.attempt.job.id}" if self.attempt else "idle")

    def _beat(self, attempt: Attempt | None) -> None:
        """A sign of life, by the wire and in the database, with what the worker is at."""
        self._tell()
        job = attempt.job.id if attempt else ""
        values = {
            "process": os.getpid(),
            "started": self._started,
            "heartbeat": time.time(),
            "memory": process_memory().resident,
            "job": job,
        }
        mine = (WORKERS.c.place == self._place) & (WORKERS.c.lane == self._lane)
        with self._store.writing() as connection:
            if not connection.execute(update(WORKERS).where(mine).values(values)).rowcount:
                connection.execute(insert(WORKERS).values(place=self._place, lane=self._lane, **values))
        self._sampled.take(job)


class _MemorySamples:
    """Memory figures over time; work goes on when they cannot be had, and the log says why, once."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._log = MemoryLog(studio.database)
        self._failed = False

    def take(self, job: str) -> None:
        try:
            self._log.add(snapshot(self._studio.registries, self._studio.workspace, job))
        except Exception as error:
            if not self._failed:
                log.warning("No memory figures: %s", in_one_line(error))
            self._failed = True
