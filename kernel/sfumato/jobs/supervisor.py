"""Keeps worker processes alive: ``Studio().workers``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sfumato.studio import Studio


@dataclass(frozen=True)
class WorkerState:
    """What is known of a lane's worker process.

    Attributes:
        state: "starting", "idle", "busy", "restarting" (after it died), "stopped".
        restarts: How often it died since the server started.
        problem: How it died last, in words.
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

    def __init__(self, studio: Studio) -> None: ...

    def start(self) -> None:
        """Begin; returns at once."""
        raise NotImplementedError

    def stop(self, patience: float = 10.0) -> None:
        """Let workers end between steps, requeue what they were at, and kill those that take longer."""
        raise NotImplementedError

    def states(self) -> list[WorkerState]:
        raise NotImplementedError

    def restart(self, lane: str = "device") -> None:
        """End the worker once its job is over, and start it anew: models are let go, plugins loaded again."""
        raise NotImplementedError
