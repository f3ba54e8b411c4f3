"""Several tiles at once, each by a thread of its own.

Left to itself, torch shares out every operation, and its threads wait for one another after each. These
operations take microseconds: where a processor has other work too, the waiting takes ten times as long.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch

From = TypeVar("From")
To = TypeVar("To")


class Workers:
    """Threads that results come from in order.

    Args:
        threads: How many work at once; of as many things again the results may wait.
    """

    def __init__(self, pool: ThreadPoolExecutor, threads: int) -> None:
        self._pool = pool
        self._ahead = 2 * threads

    def in_order(self, function: Callable[[From], To], things: Iterable[From]) -> Iterator[To]:
        """What the function makes of each; no more things are taken than are worked at or wait."""
        waiting: deque[Future[To]] = deque()
        for thing in things:
            waiting.append(self._pool.submit(function, thing))
            if len(waiting) >= self._ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


@contextlib.contextmanager
def workers() -> Iterator[Workers]:
    """As many as torch has threads; meanwhile its operations have one each."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            yield Workers(pool, threads)
    finally:
        torch.set_num_threads(threads)
