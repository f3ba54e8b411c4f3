"""One attempt at one job, in the worker process."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, TypeAdapter
from sqlalchemy import Row, update

from sfumato.errors import Cancelled, SfumatoError
from sfumato.events import CancelToken
from sfumato.jobs.recording import Recorder
from sfumato.jobs.records import JobProblem
from sfumato.jobs.store import Store, find_job
from sfumato.jobs.tables import JOBS
from sfumato.request.schema import checked, load_model
from sfumato.watchdog import in_one_line

if TYPE_CHECKING:
    from sfumato.studio import Studio

log = logging.getLogger(__name__)


class Attempt:
    """Does a claimed job and writes its end down, whatever it is.

    Attributes:
        stopping: Why the work is to be given back to the queue; set before the token is cancelled.
    """

    def __init__(self, studio: Studio, store: Store, job: Row[Any], recorder: Recorder) -> None:
        self._studio = studio
        self._store = store
        self.job = job
        self.recorder = recorder
        self.token = CancelToken()
        self.stopping = ""
        self._told_to_end: float | None = None

    def run(self) -> None:
        try:
            result = self._result()
        except Cancelled:
            self._stopped()
        except SfumatoError as error:
            log.warning("Job %s failed: %s", self.job.id, error)
            self._failed(error, error.what, error.why, error.hint)
        except BaseException as error:
            log.exception("Job %s failed", self.job.id)
            told = f"{in_one_line(error)}."
            self._failed(error, "The work failed.", told, "This is a bug in Sfumato or in a plugin.")
        else:
            self.recorder.finish("done", result=result)

    def stop(self, why: str) -> None:
        """End between steps, and give the job back to the queue."""
        self.stopping = why
        self.token.cancel()

    def look(self) -> None:
        """See whether somebody wants the work to end."""
        with self._store.reading() as connection:
            wish = connection.execute(JOBS.select().where(JOBS.c.number == self.job.number)).one_or_none()
        if wish is None or wish.worker != self.job.worker or wish.control == "cancel":
            self.token.cancel()
        elif wish.control in ("skip", "interrupt"):
            self.token.ending = wish.control
            mine = (JOBS.c.number == self.job.number) & (JOBS.c.control == wish.control)
            with self._store.writing() as connection:
                connection.execute(update(JOBS).where(mine).values(control=""))

    def is_deaf(self, patience: float) -> bool:
        """Whether the work goes on although it was told to end so many seconds ago."""
        if not self.token.cancelled or self.recorder.is_closing:
            return False
        if self._told_to_end is None:
            self._told_to_end = time.monotonic()
        return time.monotonic() - self._told_to_end > patience

    def abandon(self, log_lines: Sequence[str]) -> None:
        """Write down the end of work that does not end by itself; its process has to end then."""
        if self.stopping:
            return self.recorder.give_back(f"{self.stopping} The work did not stop by itself.")
        problem = JobProblem(
            what="The work was ended with its process.",
            why="It did not stop when it was cancelled.",
            hint="The setting jobs.cancel_seconds tells how long it is waited for.",
            log=tuple(log_lines),
        )
        return self.recorder.finish("cancelled", problem=problem.model_dump(mode="json"))

    def _result(self) -> Any:
        info = self._studio.registries.tasks.get(self.job.kind).info
        request: BaseModel = checked(load_model(info.request), self.job.request)
        with self._store.reading() as connection:
            finished = find_job(connection, self.job.id).images
        folder = self.job.output_folder or self._studio.settings.general.output_folder
        result = self._studio.run(
            info.name,
            request,
            backend=getattr(getattr(request, "base", request), "backend", "local"),
            output_folder=Path(folder).absolute(),
            on_event=self.recorder,
            cancel=self.token,
            finished=finished,
        )
        return in_json(result)

    def _stopped(self) -> None:
        failure = self.recorder.failure
        if failure is not None:
            told = f"{in_one_line(failure)}."
            self._failed(
                failure, "What the work had made could not be written down.", told, "Is the disk full?"
            )
        elif self.stopping:
            self.recorder.give_back(self.stopping)
        else:
            self.recorder.finish("cancelled")

    def _failed(self, error: BaseException, what: str, why: str, hint: str) -> None:
        problem = JobProblem(what=what, why=why, hint=hint, error=type(error).__name__)
        self.recorder.finish("failed", problem=problem.model_dump(mode="json"))


def in_json(result: Any) -> Any:
    """A task's result as JSON; a value that is no table becomes one."""
    if result is None:
        return None
    plain = TypeAdapter(type(result)).dump_python(result, mode="json")
    return plain if isinstance(plain, dict) else {"value": plain}
