"""The queue as clients use it: ``Studio().jobs``. SQLAlchemy is imported when it is first used."""

from __future__ import annotations

import builtins
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel

from sfumato.database import Database, explained
from sfumato.jobs.live import LiveJobs
from sfumato.jobs.records import LOCAL_USER, Job, JobEvent, JobState, Preview
from sfumato.tasks import Lane

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

    from sfumato.jobs.following import Following, Tailer
    from sfumato.jobs.store import Store
    from sfumato.registries import Registries


LANES: tuple[Lane, ...] = ("device", "background")
QUEUED: frozenset[JobState] = frozenset({"queued"})


@dataclass(frozen=True)
class Submission:
    """What is to be done.

    Attributes:
        kind: A registered task that can be queued.
        request: Its request, or the fields of one.
        key: Of two submissions of a user with the same key, the second gives back the first one's job.
        output_folder: Where results go; by default the settings' output folder.
    """

    kind: str
    request: BaseModel | Mapping[str, Any]
    user: str = LOCAL_USER
    label: str = ""
    priority: int = 0
    key: str | None = None
    output_folder: Path | None = None


class JobQueue:
    """Jobs of every kind; safe to use from many threads, and from many processes at once.

    Every method that takes a job's id raises `UnknownName` when there is no such job.
    """

    def __init__(self, database: Database, registries: Registries) -> None:
        self._database = database
        self._registries = registries
        self._live = LiveJobs()
        self._listeners: list[Callable[[], None]] = []

    @cached_property
    def store(self) -> Store:
        """The tables, for who works the queue off."""
        from sfumato.jobs.store import Store

        return Store(self._database)

    @cached_property
    def _tailer(self) -> Tailer:
        from sfumato.jobs.following import Tailer

        return Tailer(self.store, self._live.apply)

    def submit(self, kind: str, request: BaseModel | Mapping[str, Any], **fields: Any) -> Job:
        """Put one job at the end; `fields` are those of `Submission`.

        An open seed of a generation is drawn here, so that an attempt after a crash makes the same pictures.

        Raises:
            UnknownName: no plugin does work of that kind.
            BadInput: the request cannot be; nothing was queued.
        """
        return self.submit_all([Submission(kind, request, **fields)])[0]

    def submit_all(self, submissions: Sequence[Submission]) -> builtins.list[Job]:
        """All of them or none, in their order."""
        from sfumato.jobs.store import find_in_order
        from sfumato.jobs.submitting import insert_all, prepare

        ready = [prepare(submission, self._registries) for submission in submissions]
        with self._writing() as connection:
            return find_in_order(connection, insert_all(connection, ready))

    def get(self, job: str) -> Job:
        from sfumato.jobs.store import find_job

        def read() -> Job:
            with self.store.reading() as connection:
                return find_job(connection, job)

        self._tailer.touch()
        return self._live.job(job, read)

    def list(
        self,
        *,
        states: Collection[JobState] = (),
        kind: str | None = None,
        user: str | None = None,
        lane: Lane | None = None,
        text: str = "",
        before: int | None = None,
        limit: int = 50,
    ) -> builtins.list[Job]:
        """The newest first; `before` is the number of the last one that was seen.

        Each word of `text` must stand in a job's label or prompt; case does not matter.
        """
        from sfumato.jobs.store import all_jobs, find_jobs, says
        from sfumato.jobs.tables import JOBS

        query = all_jobs().order_by(JOBS.c.number.desc()).limit(limit)
        if states:
            query = query.where(JOBS.c.state.in_(states))
        for column, value in ((JOBS.c.kind, kind), (JOBS.c.owner, user), (JOBS.c.lane, lane)):
            if value is not None:
                query = query.where(column == value)
        query = query.where(*(says(word) for word in text.split()))
        if before is not None:
            query = query.where(JOBS.c.number < before)
        with self.store.reading() as connection:
            return find_jobs(connection, query)

    def waiting(
        self, *, user: str | None = None, lane: Lane | None = None, limit: int | None = None
    ) -> builtins.list[Job]:
        """Queued jobs in the order in which they will be begun, at most `limit` of them."""
        from sfumato.jobs.order import order_of
        from sfumato.jobs.store import find_in_order

        with self.store.reading() as connection:
            ids = [job for each in LANES if lane in (None, each) for job in order_of(connection, each, user)]
            return find_in_order(connection, ids[:limit])

    def count_waiting(self, *, user: str | None = None, lane: Lane | None = None) -> int:
        """How many jobs are queued."""
        from sqlalchemy import func, select

        from sfumato.jobs.tables import JOBS

        query = select(func.count()).select_from(JOBS).where(JOBS.c.state == "queued")
        for column, value in ((JOBS.c.owner, user), (JOBS.c.lane, lane)):
            if value is not None:
                query = query.where(column == value)
        with self.store.reading() as connection:
            return int(connection.execute(query).scalar_one())

    def running(self) -> builtins.list[Job]:
        from sfumato.jobs.store import all_jobs, find_jobs
        from sfumato.jobs.tables import JOBS

        def read() -> builtins.list[Job]:
            with self.store.reading() as connection:
                return find_jobs(
                    connection, all_jobs().where(JOBS.c.state == "running").order_by(JOBS.c.number)
                )

        self._tailer.touch()
        return self._live.running(read)

    def cancel(self, job: str) -> Job:
        """A queued job is cancelled at once, a running one between its steps; one that is over stays so."""
        from sfumato.jobs.changes import cancel

        return self._change(job, cancel)

    def cancel_all(
        self,
        *,
        states: Collection[JobState] = QUEUED,
        user: str | None = None,
        lane: Lane | None = None,
    ) -> int:
        """How many were cancelled or told to stop."""
        from sfumato.jobs.changes import cancel_all

        with self._writing() as connection:
            return cancel_all(connection, states, user, lane)

    def end_early(self, job: str, how: Literal["skip", "interrupt"]) -> None:
        """See `sfumato.events.CancelToken.ending`; nothing happens to a job that is not running."""
        from sfumato.jobs.changes import control

        self._change(job, lambda connection, row: control(connection, row, how))

    def retry(self, job: str) -> Job:
        """Queue a job that failed, was cancelled or interrupted once more; what it had saved is kept.

        Raises `BadInput` for one that is not over, or is done.
        """
        from sfumato.jobs.changes import retry

        return self._change(job, retry)

    def move(self, job: str, *, before: str | None = None) -> Job:
        """Put a queued job before another of the same user, or at the end; it takes that one's priority.

        Raises `BadInput` when one of them is not queued any more.
        """
        from sfumato.jobs.changes import move
        from sfumato.jobs.store import row_of

        def put(connection: Connection, row: Row[Any]) -> None:
            move(connection, row, None if before is None else row_of(connection, before))

        return self._change(job, put)

    def set_priority(self, job: str, priority: int) -> Job:
        """Matters while the job is queued, or is tried again."""
        from sfumato.jobs.changes import set_priority

        return self._change(job, lambda connection, row: set_priority(connection, row, priority))

    def remove(self, job: str) -> None:
        """Forget a job that is over; its pictures stay. Raises `BadInput` for one that is not over."""
        from sfumato.jobs.changes import remove
        from sfumato.jobs.store import row_of

        with self._writing() as connection:
            remove(connection, row_of(connection, job))

    def last_event(self) -> int:
        """The newest event's `seq`; 0 when there is none."""
        from sfumato.jobs.store import last_seq

        with self.store.reading() as connection:
            return last_seq(connection)

    def events(self, *, after: int = 0, job: str | None = None, limit: int = 1000) -> builtins.list[JobEvent]:
        """Kept events with a higher `seq`, in order."""
        from sfumato.jobs.store import find_events, row_of

        with self.store.reading() as connection:
            if job is not None:
                row_of(connection, job)
            return find_events(connection, after, job, limit)

    def follow(
        self, *, after: int | None = None, job: str | None = None, heartbeat: float = 15.0
    ) -> Following:
        """Events as they happen, after those kept since `after` (None: from now on); ends with the job, if
        one is named. None comes when nothing has happened for `heartbeat` seconds. Close it when done."""
        from sfumato.jobs.following import Following

        return Following(self._tailer, self.store, after, job, heartbeat)

    def wait(self, job: str, timeout: float | None = None) -> Job:
        """The job once it is over, or as it is after `timeout` seconds."""
        give_up = None if timeout is None else time.monotonic() + timeout
        self._tailer.watch()
        try:
            while True:
                seq = self._tailer.seq
                found = self.get(job)
                left = None if give_up is None else give_up - time.monotonic()
                if found.is_over or (left is not None and left <= 0) or self._tailer.closed:
                    return found
                self._tailer.wait_past(seq, left)
        finally:
            self._tailer.unwatch()

    def preview(self, job: str) -> Preview | None:
        """The newest preview of a running job; kept in memory between steps."""
        found = self.get(job)
        number = found.progress.preview if found.progress else 0
        if found.state != "running" or not number:
            return None
        return self._live.preview(job, number, lambda: self._read_preview(job))

    def nudge(self) -> None:
        """A worker process has told that there are new events."""
        if "_tailer" in self.__dict__:
            self._tailer.nudge()

    def changed(self) -> None:
        """Something was written by this process: what is known in memory is old."""
        self._live.changed()
        self.nudge()

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` after each change made through this object; returns what ends it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def close(self) -> None:
        """End what follows; nothing else may be asked then."""
        if "_tailer" in self.__dict__:
            self._tailer.close()

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        from sqlalchemy.exc import OperationalError

        try:
            with self.store.writing() as connection:
                yield connection
        except OperationalError as error:
            raise explained(error, self._database.url) from error
        self.changed()
        for listener in tuple(self._listeners):
            listener()

    def _change(self, job: str, write: Callable[[Connection, Row[Any]], object]) -> Job:
        from sfumato.jobs.store import find_job, row_of

        with self._writing() as connection:
            write(connection, row_of(connection, job))
            return find_job(connection, job)

    def _read_preview(self, job: str) -> Preview | None:
        from sfumato.jobs.previews import read

        with self.store.reading() as connection:
            return read(connection, job)
