"""What the routes of one web application share."""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from sfumato_api_a1111.option_store import OptionStore

if TYPE_CHECKING:
    from flask import Blueprint, Flask

    from sfumato.studio import Studio
    from sfumato_api_a1111.progress import ProgressAnswers
    from sfumato_api_a1111.settings import ApiA1111Settings

NAME = "api_a1111"
_KEPT_TASKS = 200


@dataclass
class Api:
    """The API of one studio in one application.

    Attributes:
        interrupted: The number of the job that was interrupted last, and likewise for skipping.
    """

    studio: Studio
    options: OptionStore
    interrupted: str = ""
    skipped: str = ""
    _tasks: OrderedDict[str, str] = field(default_factory=OrderedDict)
    _together: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def settings(self) -> ApiA1111Settings:
        settings: ApiA1111Settings = self.studio.settings.api_a1111
        return settings

    @cached_property
    def progress(self) -> ProgressAnswers:
        from sfumato_api_a1111.progress import ProgressAnswers

        return ProgressAnswers(self)

    def remember_task(self, task: str | None, job: str) -> None:
        """Which job a client's own name for it stands for."""
        if task:
            with self._lock:
                self._tasks[task] = job
                while len(self._tasks) > _KEPT_TASKS:
                    self._tasks.popitem(last=False)

    def job_of_task(self, task: str) -> str | None:
        with self._lock:
            return self._tasks.get(task)

    @contextlib.contextmanager
    def together(self, jobs: Sequence[str]) -> Iterator[None]:
        """While the block lasts, these jobs are known as those of one request."""
        with self._lock:
            self._together |= dict.fromkeys(jobs, tuple(jobs))
        try:
            yield
        finally:
            with self._lock:
                for job in jobs:
                    del self._together[job]

    def after(self, job: str) -> tuple[str, ...]:
        """The jobs that the request of a job has behind it."""
        with self._lock:
            found = self._together.get(job, ())
        return found[found.index(job) + 1 :] if found else ()

    def tasks(self) -> dict[str, str]:
        """Jobs by the names that clients have given them, the oldest first."""
        with self._lock:
            return dict(self._tasks)


def attach(blueprint: Blueprint, studio: Studio) -> None:
    """Let the application that takes the blueprint have the API's shared state."""
    blueprint.record(lambda setup: setup.app.extensions.setdefault(NAME, Api(studio, OptionStore(studio))))


def api_of(app: Flask) -> Api:
    found: Api = app.extensions[NAME]
    return found


def current_api() -> Api:
    """That of the application that answers now."""
    from flask import current_app

    found: Api = current_app.extensions[NAME]
    return found
