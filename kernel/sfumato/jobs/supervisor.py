"""Keeps worker processes alive: ``Studio().workers``."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sfumato.errors import UnknownName

if TYPE_CHECKING:
    from sfumato.jobs.keeper import Keeper
    from sfumato.studio import Studio


@dataclass(frozen=True)
class WorkerState:
    """What is known of a lane's worker process.

    Attributes:
        state: "starting", "idle", "busy", "restarting" (after it died), "stopped".
        restarts: How often it died since the server started.
        problem: How it died last, in words, or what it waits for.
    """

    lane: str
    state: str
    process: int | None = None
    since: datetime | None = None
    heartbeat: datetime | None = None
    job: str = ""
    restarts: int = 0
    problem: str = ""
    log: Path | None = None


class Supervisor:
    """Starts a worker process for each lane that has work, and starts it again when it dies."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._lock = threading.Lock()
        self._keepers: dict[str, Keeper] = {}
        self._unsubscribe: Callable[[], None] | None = None

    def start(self) -> None:
        """Begin; returns at once."""
        from sfumato.jobs.keeper import BACKGROUND_IDLE_SECONDS, Keeper

        with self._lock:
            if self._keepers:
                return
            self._keepers = {
                "device": Keeper(self._studio, "device"),
                "background": Keeper(self._studio, "background", BACKGROUND_IDLE_SECONDS),
            }
            self._unsubscribe = self._studio.jobs.subscribe(self._look)
            for keeper in self._keepers.values():
                keeper.start()

    def stop(self, patience: float = 10.0) -> None:
        """Let workers end between steps, requeue what they were at, and kill those that take longer."""
        with self._lock:
            keepers, self._keepers = list(self._keepers.values()), {}
            if self._unsubscribe is not None:
                self._unsubscribe()
                self._unsubscribe = None
        for keeper in keepers:
            keeper.stop()
        give_up = time.monotonic() + patience
        for keeper in keepers:
            keeper.join(max(0.0, give_up - time.monotonic()))
        for keeper in keepers:
            keeper.kill()
            keeper.join(None)

    def states(self) -> list[WorkerState]:
        with self._lock:
            return [keeper.state() for keeper in self._keepers.values()]

    def restart(self, lane: str = "device", *, now: bool = False) -> None:
        """End the worker once its job is over, and start it anew: models are let go, plugins loaded again.

        Args:
            now: Do not wait for the job: it is stopped between steps and begun again by the new worker.
        """
        with self._lock:
            if lane not in self._keepers:
                raise UnknownName("running worker", lane, self._keepers)
            self._keepers[lane].restart(now)

    def _look(self) -> None:
        with self._lock:
            keepers = list(self._keepers.values())
        for keeper in keepers:
            keeper.look()
