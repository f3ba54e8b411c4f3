"""Events as they happen: one thread reads new ones for all who follow, and only while somebody does."""

from __future__ import annotations

import logging
import threading
import time
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator

from sqlalchemy import Connection, func, select

from sfumato.jobs.records import ENDED, JobEvent
from sfumato.jobs.store import Store, find_events, is_over, last_seq, row_of
from sfumato.jobs.tables import EVENTS

log = logging.getLogger(__name__)

POLL_SECONDS = 0.25
LINGER_SECONDS = 5.0
"""How long new events are still read after somebody asked: who asks for progress asks again."""
RECENT = 1000
"""Events kept in memory."""
PAGE = 500
SECONDS_AFTER_ERROR = 1.0


class Tailer:
    """Reads new events when nudged, and every quarter of a second while somebody is interested.

    Args:
        apply: Is given each batch of new events, in order, before anybody else; None after a time in which
            nobody was interested, and events may have been missed.
    """

    def __init__(self, store: Store, apply: Callable[[list[JobEvent] | None], None]) -> None:
        self._store = store
        self._apply = apply
        self._news = threading.Condition()
        self._wake = threading.Event()
        self._watchers = 0
        self._awake_until = 0.0
        self._asleep = True
        self._thread: threading.Thread | None = None
        self._recent: list[JobEvent] = []
        self._floor = 0
        self.seq = 0
        self.closed = False

    def touch(self) -> None:
        """Somebody is interested, for the next seconds; news arrive within a moment when this returns."""
        with self._news:
            self._awake_until = time.monotonic() + LINGER_SECONDS
            self._awake()

    def watch(self) -> None:
        """Somebody is interested until `unwatch`."""
        with self._news:
            self._watchers += 1
            self._awake()

    def unwatch(self) -> None:
        with self._news:
            self._watchers -= 1

    def nudge(self) -> None:
        """There may be news."""
        if not self._asleep:
            self._wake.set()

    def wait_past(self, seq: int, timeout: float | None) -> bool:
        """Until there are events after `seq`; False when there are none in time, or it was closed."""
        with self._news:
            self._news.wait_for(lambda: self.seq > seq or self.closed, timeout)
            return self.seq > seq

    def after(self, seq: int, job: str | None) -> tuple[list[JobEvent], int]:
        """The next events after `seq` (of a job), and up to which number these are all."""
        with self._news:
            recent, floor, newest = self._recent, self._floor, self.seq
        if seq >= floor:
            events = recent[bisect_right(recent, seq, key=lambda event: event.seq) :]
            return [event for event in events if job in (None, event.job)], newest
        with self._store.reading() as connection:
            page = find_events(connection, seq, job, PAGE, until=newest)
        return page, newest if len(page) < PAGE else page[-1].seq

    def close(self) -> None:
        with self._news:
            self.closed = True
            self._news.notify_all()
        self._wake.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _awake(self) -> None:
        """Begin with what happens from now on; the lock is held."""
        if not self._asleep or self.closed:
            return
        with self._store.reading() as connection:
            self.seq = self._floor = last_seq(connection)
        self._recent = []
        self._apply(None)
        self._asleep = False
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="sfumato-job-events", daemon=True)
            self._thread.start()
        self._wake.set()

    def _run(self) -> None:
        while not self.closed:
            self._wake.wait(None if self._asleep else POLL_SECONDS)
            self._wake.clear()
            with self._news:
                self._asleep = not (self._watchers or time.monotonic() < self._awake_until)
            if self._asleep or self.closed:
                continue
            try:
                while self._read() == PAGE:
                    pass
            except Exception:  # a database that is busy or away comes back
                log.exception("New events of jobs cannot be read")
                time.sleep(SECONDS_AFTER_ERROR)

    def _read(self) -> int:
        """Take over a page of new events; tells how many."""
        with self._store.reading() as connection:
            events = find_events(connection, self.seq, None, PAGE)
        if not events:
            return 0
        self._apply(events)
        with self._news:
            kept = [*self._recent, *events]
            if len(kept) > RECENT:
                self._floor = kept[-RECENT - 1].seq
            self._recent = kept[-RECENT:]
            self.seq = events[-1].seq
            self._news.notify_all()
        return len(events)


class Following(Iterator[JobEvent | None]):
    """The iterator of `JobQueue.follow`; close it when done, or use it in a with statement."""

    def __init__(
        self, tailer: Tailer, store: Store, after: int | None, job: str | None, heartbeat: float
    ) -> None:
        self._tailer, self._job, self._heartbeat = tailer, job, heartbeat
        self._pending: deque[JobEvent] = deque()
        self._done = False
        self._changed = 0
        self._until: int | None = None
        tailer.watch()
        self._open = True
        try:
            with store.reading() as connection:
                if job is not None:
                    self._find_end(connection, job)
                newest = last_seq(connection)
        except BaseException:
            self.close()
            raise
        self._seq = tailer.seq if after is None else min(after, max(newest, tailer.seq))

    def _find_end(self, connection: Connection, job: str) -> None:
        """When the job was changed last; where that was its end, nothing is followed beyond it."""
        over = is_over(row_of(connection, job))
        changes = select(func.max(EVENTS.c.seq)).where(EVENTS.c.job == job, EVENTS.c.kind == "job_changed")
        self._changed = connection.execute(changes).scalar_one() or 0
        self._until = self._changed if over else None

    def __next__(self) -> JobEvent | None:
        give_up = time.monotonic() + self._heartbeat
        while not self._pending:
            if self._done or not self._open or self._is_past_end():
                self.close()
                raise StopIteration
            events, reached = self._tailer.after(self._seq, self._job)
            self._pending.extend(events)
            self._seq = max(self._seq, reached)
            if events or self._is_past_end():
                continue
            left = give_up - time.monotonic()
            if not self._tailer.wait_past(self._seq, max(0.0, left)):
                if self._tailer.closed:
                    self._done = True
                elif left <= 0:
                    return None
        event = self._pending.popleft()
        self._done = self._done or self._is_end(event)
        if self._done:
            self._pending.clear()
        return event

    def _is_past_end(self) -> bool:
        return self._until is not None and self._seq >= self._until

    def _is_end(self, event: JobEvent) -> bool:
        """Of what is followed; a job that was tried again had other ends before."""
        if self._job is None:
            return False
        if event.kind == "job_removed" or event.seq == self._until:
            return True
        ended = event.kind == "job_changed" and event.data.get("state") in ENDED
        return ended and event.seq > self._changed

    def close(self) -> None:
        if self._open:
            self._open = False
            self._tailer.unwatch()

    def __enter__(self) -> Following:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_open", False):
            self.close()
