"""What a server and its worker process say to each other: words, a line each, by pipes.

To the worker: ``look`` (there may be work, or a wish about the work at hand), ``finish`` (end once the job
is over), ``stop <why>`` (end between steps); the end of the pipe means ``finish``.

From the worker: ``waiting`` (for another worker that has the lane), ``idle``, ``busy <job>``, ``news``
(events were written), ``bye`` (it ends as it was told to).

Either works without the other hearing: both look at the database as well.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator


def open_ends() -> tuple[int, int]:
    """The worker's ends: to read from and to write to, taken from its standard streams.

    What anything else writes to stdout goes to the log then, and nothing else reads stdin.
    """
    reads, writes = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)
    return reads, writes


def never_wait(descriptor: int) -> None:
    """Writing fails rather than waits for a reader who is stuck."""
    with contextlib.suppress(OSError, AttributeError):  # Windows cannot, before Python 3.12
        os.set_blocking(descriptor, False)


class Words:
    """Says words; what the other side cannot take is left unsaid."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()
        never_wait(descriptor)

    def say(self, words: str) -> None:
        with self._lock, contextlib.suppress(OSError):
            os.write(self._descriptor, f"{words}\n".encode())


def heard(descriptor: int) -> Iterator[str]:
    """Lines as they come, until the other side is gone."""
    rest = b""
    while data := _read(descriptor):
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            yield line.decode("utf-8", "replace")


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:
        return b""


def listen(descriptor: int, take: Callable[[str], None], ended: Callable[[], None]) -> threading.Thread:
    """Hand each line to `take` in a thread of its own; `ended` when there are no more."""

    def run() -> None:
        for line in heard(descriptor):
            take(line)
        ended()

    thread = threading.Thread(target=run, name="sfumato-wire", daemon=True)
    thread.start()
    return thread
