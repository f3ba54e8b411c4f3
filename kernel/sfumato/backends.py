"""Who carries work out. For now `local`: in this process; a worker process and remote servers follow."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

from sfumato.errors import UnknownName
from sfumato.tasks import TaskContext


class Backend(Protocol):
    """Runs tasks somewhere."""

    name: str

    def run(self, task: str, request: Any, context: TaskContext) -> Any:
        """Do the work and return its result; errors come as `SfumatoError`."""
        ...


class LocalBackend:
    """Runs tasks in this process, one at a time, and keeps loaded models between them."""

    name = "local"

    def __init__(self) -> None:
        self._workspace: dict[str, Any] = {}
        self._one_at_a_time = threading.Lock()

    def run(self, task: str, request: Any, context: TaskContext) -> Any:
        work: Callable[[Any, TaskContext], Any] = context.registries.tasks.get(task).load()
        with self._one_at_a_time:
            return work(request, replace(context, workspace=self._workspace))


class Backends:
    """The backends of one studio, made when first named."""

    def __init__(self) -> None:
        self._backends: dict[str, Backend] = {"local": LocalBackend()}

    def get(self, name: str) -> Backend:
        """Raises `UnknownName` when there is no such backend."""
        if name not in self._backends:
            raise UnknownName("backend", name, self._backends)
        return self._backends[name]
