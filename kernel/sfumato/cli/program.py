"""The `sfumato` program: the command line in a process of its own, tuned for a short life."""

from __future__ import annotations

import gc
import signal
import sys

OBJECTS_BEFORE_COLLECTION = 50_000
"""Importing makes hundreds of thousands of objects that stay: Python's 700 would go through them again and
again."""


def run() -> int:
    """Run the command line of this process.

    Returns:
        The exit code, see `sfumato.cli.main`.
    """
    gc.set_threshold(OBJECTS_BEFORE_COLLECTION)
    from sfumato.cli.app import main

    try:
        return main()
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # nothing is left to stop, and torch would tell of it
        sys.stdout = sys.stderr  # what plugins print at exit is no data
        gc.freeze()  # or the end of the interpreter goes through every object of torch: 0.3 s for nothing
