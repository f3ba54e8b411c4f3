"""File hashes, remembered between runs: hashing a 20 GB checkpoint takes a minute, reading its size none."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import threading
from pathlib import Path

from sfumato.atomic import write_atomically

log = logging.getLogger(__name__)

LIMIT = 1000
"""Files remembered; beyond it the ones hashed longest ago are forgotten."""


class FileHashes:
    """SHA-256 by path, size and modification time, kept in a JSON file; losing that file only costs time.

    Threads may share one, and programs the file: what others stored meanwhile is kept.
    """

    def __init__(self, store: Path) -> None:
        self._store = store
        self._known: dict[str, str] = {}  # "size|modification time|hash" by path
        self._lock = threading.Lock()

    def sha256(self, path: Path) -> str:
        """The file's hash in hex.

        Raises:
            OSError: the file cannot be read.
        """
        name, stamp = _name_and_stamp(path)
        remembered = self._recall(name, stamp)
        if remembered:
            return remembered
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        self._remember(name, stamp + digest)
        return digest

    def known(self, path: Path) -> str:
        """The file's hash if it is remembered, else nothing; raises `OSError` like `sha256`."""
        return self._recall(*_name_and_stamp(path))

    def _recall(self, name: str, stamp: str) -> str:
        """The hash known under that stamp, or nothing."""
        with self._lock:
            if not self._known.get(name, "").startswith(stamp):
                self._known.pop(name, None)  # another program may know the file as it is now
                self._known = self._merged()
            known = self._known.get(name, "")
        return known.removeprefix(stamp) if known.startswith(stamp) else ""

    def _remember(self, name: str, entry: str) -> None:
        with self._lock:
            merged = self._merged()
            merged.pop(name, None)
            merged[name] = entry
            self._known = dict(list(merged.items())[-LIMIT:])
            try:
                self._store.parent.mkdir(parents=True, exist_ok=True)
                write_atomically(self._store, json.dumps(self._known, indent=0).encode())
            except OSError as error:
                log.warning("File hashes could not be kept: %s", error)

    def _merged(self) -> dict[str, str]:
        """What the store holds by now and what is known here, which wins."""
        stored = None
        with contextlib.suppress(OSError, ValueError, RecursionError):
            stored = json.loads(self._store.read_text("utf-8"))
        entries = stored.items() if isinstance(stored, dict) else ()
        return {name: entry for name, entry in entries if isinstance(entry, str)} | self._known


def _name_and_stamp(path: Path) -> tuple[str, str]:
    stat = path.stat()
    return str(path.resolve()), f"{stat.st_size}|{stat.st_mtime_ns}|"
