"""The studio's secret: made once, readable by its owner alone."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from sfumato.errors import SfumatoError

NAME = "web_secret_key"
LENGTH = 32


def secret_key(folder: Path) -> bytes:
    """The key in the data folder, made when it is not there.

    Two processes that make one at once get the same: the file appears whole or not at all, and once.

    Raises:
        SfumatoError: it cannot be read or written.
    """
    path = folder / NAME
    try:
        with contextlib.suppress(FileNotFoundError):
            return _checked(path.read_bytes(), path)
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / f".{secrets.token_hex(8)}.partial"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(secrets.token_bytes(LENGTH))
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileExistsError):
                os.link(temporary, path)
        finally:
            temporary.unlink()
        return _checked(path.read_bytes(), path)
    except OSError as error:
        raise SfumatoError(
            "The web interface's secret key cannot be kept.",
            why=f"{error}.",
            hint="Check the setting general.data_folder.",
        ) from error


def _checked(key: bytes, path: Path) -> bytes:
    if len(key) != LENGTH:
        raise SfumatoError(f"{path} is damaged.", hint="Delete it; everybody has to log in again.")
    return key
