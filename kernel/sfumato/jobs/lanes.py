"""One worker a lane: a lock on a file beside the database, which ends with the process that holds it."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from sfumato.database import Database
from sfumato.locking import take_lock

ANYWHERE = ""
"""The place of jobs in a SQLite file: the lock lies beside it, so there is but one."""


class LaneLock:
    """The right to work off a lane.

    Attributes:
        place: Stands for the lock in the rows of running jobs: whoever holds it knows that nobody else works
            on them. Workers of several machines on one database server have a place each.
    """

    def __init__(self, database: Database, data_folder: Path, lane: str) -> None:
        from sqlalchemy.engine import make_url

        url = make_url(database.url)
        self._is_file = url.get_backend_name() == "sqlite"
        file = Path(url.database) if self._is_file and url.database else data_folder / "studio.db"
        name = f"worker-{lane}.lock"
        self.path = file.with_name(name if file.name == "studio.db" else f"{file.stem}-{name}")
        self.place = ANYWHERE
        self._descriptor = -1

    def take(self) -> bool:
        """Whether it is ours now; it stays so until the process ends."""
        if self._descriptor < 0:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        if not take_lock(self._descriptor):
            return False
        self.place = ANYWHERE if self._is_file else self._read_place()
        return True

    def release(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _read_place(self) -> str:
        """What the file calls itself; written when it is locked for the first time."""
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        known = os.read(self._descriptor, 40).decode("ascii", "replace").strip()
        if not known:
            known = secrets.token_hex(8)
            os.write(self._descriptor, known.encode("ascii"))
        return known
