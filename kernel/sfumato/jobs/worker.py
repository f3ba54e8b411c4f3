"""The process that works off a lane of the queue: ``python -m sfumato.jobs.worker``.

Its first line of input is JSON: the lane, the settings as they were given to the server, the log's path.
After that come words, see `sfumato.jobs.wire`.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sfumato.jobs import wire
from sfumato.jobs.lanes import LaneLock
from sfumato.jobs.logs import last_lines

if TYPE_CHECKING:
    from sqlalchemy import Row

    from sfumato.jobs.pulse import Pulse
    from sfumato.studio import Studio

log = logging.getLogger(__name__)

POLL_SECONDS = 1.0
SECONDS_BETWEEN_TRIES = 0.3
DAY = 86400.0


@dataclass(frozen=True)
class WorkerOrders:
    """What a worker process is started with.

    Attributes:
        name: Stands for this process in the rows of the jobs it takes.
        settings: See `sfumato.settings.Settings.as_given`.
        idle_seconds: It ends when there was no work for so long; 0: never.
    """

    lane: str
    name: str
    settings: dict[str, Any] = field(default_factory=dict)
    log: str = ""
    idle_seconds: float = 0.0

    def as_line(self) -> str:
        return json.dumps(asdict(self))


class Worker:
    """Takes jobs of one lane, one after the other."""

    def __init__(self, orders: WorkerOrders, studio: Studio, words: wire.Words) -> None:
        self._orders = orders
        self._studio = studio
        self._store = studio.jobs.store
        self._words = words
        self._lock = LaneLock(studio.database, studio.settings.general.data_folder, orders.lane)
        self._pulse: Pulse | None = None
        self._wake = threading.Event()
        self._finishing = False
        self._stopping = ""
        self._forgets_at = 0.0

    def hear(self, words: str) -> None:
        """A word of the server, and what belongs to it."""
        word, _, why = words.partition(" ")
        if word == "finish":
            self._finishing = True
        elif word == "stop":
            self.stop(why)
        if self._pulse is not None:
            self._pulse.wake.set()
        self._wake.set()

    def stop(self, why: str) -> None:
        """End between steps; what the worker is at is queued again."""
        self._finishing, self._stopping = True, why
        attempt = self._pulse.attempt if self._pulse else None
        if attempt is not None:
            attempt.stop(why)
        self._wake.set()

    def run(self) -> None:
        from sfumato.jobs.pulse import Pulse

        if not self._take_lane():
            return
        self._pulse = Pulse(self._studio, self._store, self._words, self._orders.lane, self._lock.place)
        self._put_in_order()
        self._pulse.start()
        warming = self._warm_up()
        since = time.monotonic()
        while not self._finishing:
            self._wake.clear()
            job = self._claim()
            if job is not None:
                self._do(job)
                since = time.monotonic()
            elif self._is_idle_since(since):
                break
            elif next(warming, None) is None:
                self._forget_old()
                self._wake.wait(POLL_SECONDS)
        self._pulse.end()

    def _take_lane(self) -> bool:
        """Wait until no other worker has the lane; False when this one is to end."""
        while not self._lock.take():
            self._words.say("waiting")
            self._wake.wait(SECONDS_BETWEEN_TRIES)
            if self._finishing:
                return False
        self._words.say("idle")
        return True

    def _put_in_order(self) -> None:
        """What was running in this lane is not: its worker and its server are gone."""
        from sfumato.jobs.recovery import Cause, orphans_of_place, recover

        cause = Cause("The worker process ended while it ran.", last_lines(Path(self._orders.log)))
        with self._store.writing() as connection:
            for row in orphans_of_place(connection, self._orders.lane, self._lock.place):
                recover(connection, row, cause, self._studio.settings.jobs.attempts)
        self._words.say("news")

    def _forget_old(self) -> None:
        """What was over long ago, once a day."""
        from sqlalchemy.exc import SQLAlchemyError

        from sfumato.jobs.changes import forget_before

        days = self._studio.settings.jobs.keep_days
        if not days or time.monotonic() < self._forgets_at:
            return
        self._forgets_at = time.monotonic() + DAY
        try:
            with self._store.writing() as connection:
                count = forget_before(connection, time.time() - days * DAY)
            if count:
                self._studio.database.shrink()
        except SQLAlchemyError as error:
            log.warning("Old jobs cannot be forgotten now: %s", error)

    def _warm_up(self) -> Iterator[str]:
        """Import what work on the device needs, a piece each time nobody waits for anything else."""
        if self._orders.lane != "device":
            return
        for entry in self._studio.registries.tasks:
            if entry.info.request and entry.info.lane == "device":
                try:
                    entry.load()
                except Exception:
                    log.warning("The task '%s' cannot be loaded", entry.info.name, exc_info=True)
                yield entry.info.name
        gc.freeze()  # what was imported stays: collections need not go through it

    def _claim(self) -> Row[Any] | None:
        from sqlalchemy.exc import SQLAlchemyError

        from sfumato.jobs.claiming import claim
        from sfumato.jobs.order import next_in_turn

        try:
            with self._store.reading() as connection:
                if next_in_turn(connection, self._orders.lane) is None:
                    return None
            with self._store.writing() as connection:
                job = claim(connection, self._orders.lane, self._orders.name, self._lock.place)
        except SQLAlchemyError as error:
            log.warning("The queue cannot be read now: %s", error)
            return None
        self._words.say("news")
        return job

    def _do(self, job: Row[Any]) -> None:
        from sfumato.jobs.attempt import Attempt
        from sfumato.jobs.recording import Recorder

        assert self._pulse is not None
        self._studio.refresh_settings()
        log.info("Job %s (%s), attempt %s", job.id, job.kind, job.attempt)
        recorder = Recorder(self._store, job, lambda: self._words.say("news"))
        attempt = Attempt(self._studio, self._store, job, recorder)
        self._pulse.begin(attempt)
        if self._stopping:
            attempt.stop(self._stopping)
        attempt.run()
        self._pulse.begin(None)
        log.info("Job %s is over", job.id)

    def _is_idle_since(self, since: float) -> bool:
        return 0 < self._orders.idle_seconds < time.monotonic() - since


def main() -> int:
    """Work until told otherwise; returns the exit code."""
    reads, writes = wire.open_ends()
    words = wire.Words(writes)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which tells us
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    lines = wire.heard(reads)
    orders = WorkerOrders(**json.loads(next(lines)))
    log.info("Worker of the lane '%s', process %s", orders.lane, os.getpid())

    from sfumato.settings import Settings
    from sfumato.studio import Studio

    worker = Worker(orders, Studio(Settings.from_given(orders.settings)), words)
    signal.signal(signal.SIGTERM, lambda *_: worker.stop("The worker process was told to end."))
    threading.Thread(target=_hear_all, args=(lines, worker), daemon=True).start()
    worker.run()
    words.say("bye")
    return 0


def _hear_all(lines: Iterator[str], worker: Worker) -> None:
    for word in lines:
        worker.hear(word)
    worker.hear("finish")  # the server is gone


if __name__ == "__main__":
    sys.exit(main())
