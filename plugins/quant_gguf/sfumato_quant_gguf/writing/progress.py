"""Progress in numbers that are written: a bar in a terminal, now and then a line anywhere else."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

from sfumato.cli.output import printable, say
from sfumato.cli.progress import SECONDS_BETWEEN_LINES, time_left

Show = Callable[[int, str], None]


@contextlib.contextmanager
def numbers_display(total: int) -> Iterator[Show]:
    """Within this, what is yielded shows how many of so many numbers are done, the rate and the time left."""
    if not sys.stderr.isatty():
        yield _Lines(total)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    columns = TextColumn("Quantising"), BarColumn(), TextColumn("{task.description}")
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task, rate = bar.add_task("", total=total), Rate(total)

        def show(done: int, name: str) -> None:
            bar.update(task, completed=done, description=printable(rate.told(done)).replace("[", r"\["))

        yield show


class _Lines:
    def __init__(self, total: int) -> None:
        self._rate = Rate(total)
        self._last = time.monotonic()

    def __call__(self, done: int, name: str) -> None:
        if time.monotonic() - self._last >= SECONDS_BETWEEN_LINES:
            self._last = time.monotonic()
            say(f"{self._rate.told(done)}, {name}" if name else self._rate.told(done))


class Rate:
    """How fast it goes since it began; what an earlier run did does not count.

    Args:
        total: Numbers in all.
        clock: Seconds.
    """

    def __init__(self, total: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._total = total
        self._clock = clock
        self._start: tuple[float, int] | None = None

    def told(self, done: int) -> str:
        """'1.20 of 11.90 G numbers, 21.3 M/s, 8:22 min left'."""
        now = self._clock()
        if self._start is None:
            self._start = now, done
        seconds, new = now - self._start[0], done - self._start[1]
        text = f"{done / 1e9:.2f} of {self._total / 1e9:.2f} G numbers"
        if seconds <= 0 or new <= 0:
            return text
        rate = new / seconds
        return f"{text}, {rate / 1e6:.1f} M/s, {time_left((self._total - done) / rate)} left"
