"""Slows down who guesses passwords: after a few failures each further try has to wait twice as long."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from sfumato_ui_web.security.guard import Refused

FREE_TRIES = 5
FIRST_WAIT = 5
"""Seconds."""
LONGEST_WAIT = 300
MOST_KEPT = 10_000


class LoginLimiter:
    """Counts failures by key, such as an address or a user's name.

    Args:
        clock: Seconds, from any beginning.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._tries: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def begin(self, *keys: str) -> None:
        """Note a try before its outcome is known: many at once count as many.

        Raises:
            Refused: one of the keys has to wait; the try is not counted.
        """
        now = self._clock()
        with self._lock:
            wait = max((self._tries.get(key, (0, 0.0))[1] - now for key in keys), default=0.0)
            if wait > 0:
                raise Refused(429, "Too many wrong passwords.", "Wait a while.", retry_after=int(wait) + 1)
            for key in keys:
                self._count(key, now)
            while len(self._tries) > MOST_KEPT:
                self._tries.popitem(last=False)

    def succeeded(self, *keys: str) -> None:
        """Forget the failures."""
        with self._lock:
            for key in keys:
                self._tries.pop(key, None)

    def _count(self, key: str, now: float) -> None:
        count = self._tries.pop(key, (0, 0.0))[0] + 1
        wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(count - FREE_TRIES, 20)) if count >= FREE_TRIES else 0
        self._tries[key] = (count, now + wait)
