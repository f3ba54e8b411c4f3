"""Writing files so that a crash or a full disk never leaves half of one."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
from pathlib import Path


def write_atomically(path: Path, data: bytes) -> None:
    """Replace `path` by `data` in one step: temporary file beside it, flushed to disk, then renamed.

    A file that was there hands on its rights: what was private stays so.

    Raises:
        OSError: nothing was changed (the disk is full, the folder cannot be written, `path` is no file ...).
    """
    if path.exists() and not path.is_file():  # the rename would take a device or a pipe away
        raise OSError(errno.EINVAL, "It is a folder, a device or a pipe, and no file", str(path))
    # Not tempfile: its files are private, and the rename would keep them so.
    temporary = path.with_name(f".{secrets.token_hex(8)}.partial")
    try:
        with temporary.open("xb") as file:
            with contextlib.suppress(FileNotFoundError):
                shutil.copymode(path, temporary)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
