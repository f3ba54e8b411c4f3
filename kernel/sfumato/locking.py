"""One run at a time: a lock on an open file, which ends with the process that holds it."""

from __future__ import annotations

import os
import sys

_FAR = 1 << 40
"""A byte beyond any journal: on Windows, a locked one can be read by nobody else."""


def take_lock(descriptor: int) -> bool:
    """Lock an open file until it is closed; False when another run has it.

    A file system that knows no locks is taken as free.
    """
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(descriptor, _FAR, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return True
    return True
