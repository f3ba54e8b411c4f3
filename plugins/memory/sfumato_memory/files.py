"""Whether what a user wrote is the name of a file: it may as well be a prompt, a version or a date."""

from __future__ import annotations

from pathlib import Path


def is_file(path: Path) -> bool:
    """Also where the system refuses to look, as for a prompt that is too long for a name."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False
