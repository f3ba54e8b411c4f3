"""The queue as clients use it: ``Studio().jobs``."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel

from sfumato.database import Database
from sfumato.jobs.records import LOCAL_USER, Job, JobEvent, JobState, Preview

if TYPE_CHECKING:
    from sfumato.registries import Registries


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

    def __init__(self, database: Database, registries: Registries) -> None: ...

    def submit(self, kind: str, request: BaseModel | Mapping[str, Any], **fields: Any) -> Job:
        """Put one job at the end; `fields` are those of `Submission`.

        An open seed of a generation is drawn here, so that an attempt after a crash makes the same pictures.

        Raises:
            UnknownName: no plugin does work of that kind.
            BadInput: the request cannot be; nothing was queued.
        """
        raise NotImplementedError

    def submit_all(self, submissions: Sequence[Submission]) -> list[Job]:
        """All of them or none, in their order."""
        raise NotImplementedError

    def get(self, job: str) -> Job:
        raise NotImplementedError

    def list(
        self,
        *,
        states: Collection[JobState] = (),
        kind: str | None = None,
        user: str | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> list[Job]:
        """The newest first; `before` is the number of the last one that was seen."""
        raise NotImplementedError

    def waiting(self) -> list[Job]:
        """Queued jobs in the order in which they will be begun."""
        raise NotImplementedError

    def running(self) -> list[Job]:
        raise NotImplementedError

    def cancel(self, job: str) -> Job:
        """A queued job is cancelled at once, a running one between its steps; one that is over stays so."""
        raise NotImplementedError

    def cancel_all(self, *, states: Collection[JobState] = ("queued",), user: str | None = None) -> int:
        """How many were cancelled or told to stop."""
        raise NotImplementedError

    def end_early(self, job: str, how: Literal["skip", "interrupt"]) -> None:
        """See `sfumato.events.CancelToken.ending`; nothing happens to a job that is not running."""
        raise NotImplementedError

    def retry(self, job: str) -> Job:
        """Queue a job that failed, was cancelled or interrupted once more; what it had saved is kept.

        Raises `BadInput` for one that is not over, or is done.
        """
        raise NotImplementedError

    def move(self, job: str, *, before: str | None = None) -> Job:
        """Put a queued job before another of the same user, or at the end; it takes that one's priority.

        Raises `BadInput` when one of them is not queued any more.
        """
        raise NotImplementedError

    def set_priority(self, job: str, priority: int) -> Job:
        raise NotImplementedError

    def remove(self, job: str) -> None:
        """Forget a job that is over; its pictures stay. Raises `BadInput` for one that is not over."""
        raise NotImplementedError

    def last_event(self) -> int:
        """The newest event's `seq`; 0 when there is none."""
        raise NotImplementedError

    def events(self, *, after: int = 0, job: str | None = None, limit: int = 1000) -> list[JobEvent]:
        """Kept events with a higher `seq`, in order."""
        raise NotImplementedError

    def follow(
        self, *, after: int | None = None, job: str | None = None, heartbeat: float = 15.0
    ) -> Iterator[JobEvent | None]:
        """Events as they happen, after those kept since `after` (None: from now on); ends with the job, if
        one is named. None comes when nothing has happened for `heartbeat` seconds. Close it when done."""
        raise NotImplementedError

    def wait(self, job: str, timeout: float | None = None) -> Job:
        """The job once it is over, or as it is after `timeout` seconds."""
        raise NotImplementedError

    def preview(self, job: str) -> Preview | None:
        """The newest preview of a running job; kept in memory between steps."""
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError
