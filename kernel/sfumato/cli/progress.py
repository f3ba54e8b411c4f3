"""Showing progress on stderr: a bar in a terminal, now and then a line anywhere else."""

from __future__ import annotations

import sys
import time
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from sfumato.cli.output import printable, say
from sfumato.events import Event, PhaseStarted, StepCompleted, Warned

if TYPE_CHECKING:
    from rich.progress import Progress, Task

SECONDS_BETWEEN_LINES = 10.0


def progress_display() -> LineProgress | BarProgress:
    """What suits this stderr; use it as a context manager and call it with every event.

    Its `subject` ("prompt 2 of 5") may be changed while it shows.
    """
    return BarProgress() if sys.stderr.isatty() else LineProgress()


class LineProgress(AbstractContextManager["LineProgress"]):
    """For logs and pipes: a line for each batch that is done, and every ten seconds within a long one."""

    def __init__(self) -> None:
        self.subject = ""
        self._last_line = time.monotonic()

    def __exit__(self, *_: object) -> None:
        pass

    def __call__(self, event: Event) -> None:
        if isinstance(event, Warned):
            say(f"Warning: {event.message}")
        elif isinstance(event, StepCompleted):
            now = time.monotonic()
            if event.step == event.steps or now - self._last_line >= SECONDS_BETWEEN_LINES:
                self._last_line = now
                say(describe(event, self.subject))


def describe(event: StepCompleted, subject: str = "") -> str:
    """'prompt 2 of 5: batch 1 of 2: step 20 of 20, 3.4 it/s, 6 s left'."""
    counted = [f"batch {event.batch + 1} of {event.batches}", f"step {event.step} of {event.steps}"]
    parts = [": ".join([subject, *counted] if subject else counted)]
    parts += [rate(event.steps_per_second)] if event.steps_per_second else []
    parts += [f"{time_left(event.seconds_left)} left"] if event.seconds_left is not None else []
    return ", ".join(parts)


def rate(steps_per_second: float) -> str:
    """Steps a second, or seconds a step when it takes longer than one."""
    return f"{steps_per_second:.1f} it/s" if steps_per_second >= 1 else f"{1 / steps_per_second:.1f} s/it"


def time_left(seconds: float) -> str:
    """'42 s', '3:05 min', '2:07 h'."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02} min"
    return f"{whole // 3600}:{whole % 3600 // 60:02} h"


class BarProgress(AbstractContextManager["BarProgress"]):
    """A bar with phase, steps, rate and time left; it goes away when the work is done."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        self.subject = ""
        columns = (
            "[progress.description]{task.description}",
            BarColumn(),
            TextColumn("{task.fields[detail]}"),
        )
        self._bar: Progress = Progress(
            *columns,
            console=Console(stderr=True),
            transient=True,
            redirect_stdout=sys.stdout.isatty(),  # paths then appear above the bar
        )
        self._task = self._bar.add_task("Starting", total=None, detail="")
        self._phase = "Sampling"

    def __enter__(self) -> BarProgress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def __call__(self, event: Event) -> None:
        if isinstance(event, Warned):
            self._bar.console.print(f"Warning: {printable(event.message)}", markup=False, highlight=False)
        elif isinstance(event, PhaseStarted):
            self._phase = _title(event)
            self._show(description=self._phase, detail="")
        elif isinstance(event, StepCompleted):
            self._show(
                description=self._phase,
                total=event.steps * event.batches,
                completed=event.batch * event.steps + event.step,
                detail=describe(event, self.subject),
            )

    def _show(self, **fields: Any) -> None:
        self._bar.update(self._task, **fields)

    @property
    def state(self) -> Task:
        """What the bar shows now."""
        return self._bar.tasks[0]


def _title(event: PhaseStarted) -> str:
    from rich.markup import escape

    phase = event.phase[:1].upper() + event.phase[1:]
    return escape(printable(f"{phase} {event.detail}".strip()))
