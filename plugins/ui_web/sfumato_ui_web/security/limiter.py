"""Slows down who guesses passwords: after a few failures each further try has to wait twice as long.

Failures count by address and by user. A user has many more free tries than an address: who guesses from one
place is stopped there, and does not keep the user out who logs in from another.
"""

from __future__ import annotations

import ipaddress
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from sfumato_ui_web.security.guard import Refused

FREE_TRIES = 5
FREE_TRIES_OF_USER = 50
FIRST_WAIT = 5
"""Seconds."""
LONGEST_WAIT = 300
MOST_KEPT = 10_000


def address_key(address: str) -> str:
    """Who is given one address of IPv6 has 2**64 of them: the network counts."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return f"address:{address}"
    network = ipaddress.ip_network((found, 64), strict=False) if found.version == 6 else found
    return f"address:{network}"


def user_key(user: str) -> str:
    return f"user:{user}"


class LoginLimiter:
    """Counts failures by keys as `address_key` and `user_key` make them.

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
        beyond = count - (FREE_TRIES_OF_USER if key.startswith("user:") else FREE_TRIES)
        wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(beyond, 20)) if beyond >= 0 else 0
        self._tries[key] = (count, now + wait)
