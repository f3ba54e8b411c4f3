"""The log of a worker process."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

LONGEST_LOG = 5 * 2**20
LINES_KEPT = 80
BYTES_READ = 16384


def log_path(data_folder: Path, lane: str) -> Path:
    return data_folder / "logs" / f"worker-{lane}.log"


def make_room(path: Path) -> None:
    """The folder is made, and a log that grew long is put aside as "worker-<lane>.log.1"."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(OSError):  # another process may have it open, or did the same
        if path.stat().st_size > LONGEST_LOG:
            path.replace(path.with_name(f"{path.name}.1"))


def last_lines(path: Path, since: int = 0) -> tuple[str, ...]:
    """The last lines of a log, of what was written behind byte `since`; none where it cannot be read."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            start = max(since if since <= size else 0, size - BYTES_READ)
            file.seek(start)
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return ()
    return tuple(line.replace("\0", "") for line in lines[-LINES_KEPT:])
