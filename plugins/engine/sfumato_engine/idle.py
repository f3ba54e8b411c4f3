"""Work and rest: after some time without work, what rests may be done."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class IdleTimer:
    """Calls something once no work was done for a while, never while work is done."""

    def __init__(self) -> None:
        self._busy = threading.Lock()
        self._timer: threading.Timer | None = None

    @contextmanager
    def at_work(self, seconds: float, rest: Callable[[], None]) -> Iterator[None]:
        """Work is done within this.

        Args:
            seconds: After its end without further work, until `rest` is called; 0 for never.
        """
        with self._busy:
            if self._timer is not None:
                self._timer.cancel()
            try:
                yield
            finally:
                self._timer = None
                if seconds:
                    self._timer = threading.Timer(seconds, self._fire, [rest])
                    self._timer.daemon = True
                    self._timer.start()

    def stop(self) -> None:
        """Nothing is called any more."""
        if self._timer is not None:
            self._timer.cancel()

    def wait(self) -> None:
        """Until what is to be called at rest has been called."""
        if self._timer is not None:
            self._timer.join()

    def _fire(self, rest: Callable[[], None]) -> None:
        if self._busy.acquire(blocking=False):
            try:
                rest()
            finally:
                self._busy.release()
