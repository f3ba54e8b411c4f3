"""File hashes, remembered between runs: hashing a 20 GB checkpoint takes a minute, reading its size none."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
from pathlib import Path

from sfumato.atomic import write_atomically

log = logging.getLogger(__name__)


class FileHashes:
    """SHA-256 by path, size and modification time, kept in a JSON file; losing that file only costs time."""

    def __init__(self, store: Path) -> None:
        self._store = store
        self._known: dict[str, str] | None = None

    def sha256(self, path: Path) -> str:
        """The file's hash in hex.

        Raises:
            OSError: the file cannot be read.
        """
        stat = path.stat()
        key = f"{path.resolve()}|{stat.st_size}|{stat.st_mtime_ns}"
        known = self._load()
        if key not in known:
            with path.open("rb") as file:
                known[key] = hashlib.file_digest(file, "sha256").hexdigest()
            self._save(known)
        return known[key]

    def _load(self) -> dict[str, str]:
        if self._known is None:
            self._known = {}
            with contextlib.suppress(OSError, ValueError):
                stored = json.loads(self._store.read_text("utf-8"))
                self._known = stored if isinstance(stored, dict) else {}
        return self._known

    def _save(self, known: dict[str, str]) -> None:
        try:
            self._store.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self._store, json.dumps(known, indent=0).encode())
        except OSError as error:
            log.warning("File hashes could not be kept: %s", error)
