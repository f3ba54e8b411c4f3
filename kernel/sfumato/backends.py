"""Who carries work out: `local`, in this process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Protocol

from sfumato.errors import PluginError, SfumatoError, UnknownName
from sfumato.events import CancelToken
from sfumato.tasks import TaskContext
from sfumato.watchdog import in_one_line

CANCEL_CHECK_SECONDS = 0.1
"""How often a request that waits for another looks whether it was cancelled."""


class Backend(Protocol):
    """Runs tasks somewhere."""

    name: str

    def run(self, task: str, request: Any, context: TaskContext) -> Any:
        """Do the work and return its result; errors come as `SfumatoError`."""
        ...


class LocalBackend:
    """Runs tasks in this process, one at a time, and keeps loaded models between them.

    Work is not watched: nobody knows how long a picture takes. Code that hangs in Python ends by a
    `KeyboardInterrupt` (the second Ctrl-C); code that hangs in C, or catches that too, only with the process.
    """

    name = "local"

    def __init__(self, workspace: dict[str, Any] | None = None) -> None:
        self._workspace: dict[str, Any] = {} if workspace is None else workspace
        self._busy = threading.Lock()
        self._worker: int | None = None

    def run(self, task: str, request: Any, context: TaskContext) -> Any:
        work: Callable[[Any, TaskContext], Any] = context.registries.tasks.get(task).load()
        with self._turn(context.cancel):
            try:
                return work(request, replace(context, workspace=self._workspace))
            except (Exception, KeyboardInterrupt):
                raise
            except BaseException as error:
                exits = isinstance(error, SystemExit)
                why = "It called exit() in the middle of the work." if exits else f"{in_one_line(error)}."
                raise PluginError(
                    "A plugin tried to end the program.",
                    why=why,
                    hint="'sfumato -v ...' shows where; disable that plugin, and tell its author.",
                ) from error

    @contextmanager
    def _turn(self, cancel: CancelToken) -> Iterator[None]:
        """Wait until no other work is done, and keep it so.

        Raises:
            SfumatoError: this very thread does the other work, and would wait for itself.
            Cancelled: `cancel` was used while waiting.
        """
        if self._worker == threading.get_ident():
            raise SfumatoError(
                "The studio is already at work.",
                why="A request was made from within another one, such as in a listener to its events.",
                hint="Make it once the first one has returned.",
            )
        while not self._busy.acquire(timeout=CANCEL_CHECK_SECONDS):
            cancel.check()
        try:
            self._worker = threading.get_ident()
            yield
        finally:
            self._worker = None
            self._busy.release()


class Backends:
    """The backends of one studio, made when first named."""

    def __init__(self) -> None:
        self.workspace: dict[str, Any] = {}
        self._backends: dict[str, Backend] = {"local": LocalBackend(self.workspace)}

    def get(self, name: str) -> Backend:
        """Raises `UnknownName` when there is no such backend."""
        if name not in self._backends:
            raise UnknownName("backend", name, self._backends)
        return self._backends[name]
