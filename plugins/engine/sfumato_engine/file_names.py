"""File names from a pattern such as ``{seed}-{prompt}``, safe on every file system."""

from __future__ import annotations

import re
from collections.abc import Mapping

PLACEHOLDERS = ("seed", "model", "width", "height", "date", "prompt")
LONGEST_NAME = 120
"""File systems take 255 bytes; this leaves room for the number, the suffix and four-byte characters."""

_PLACEHOLDER = re.compile(r"\{(\w*)\}")


def check_pattern(pattern: str) -> str:
    """The pattern itself; raises `ValueError` for a placeholder that is not in `PLACEHOLDERS`."""
    for name in _PLACEHOLDER.findall(pattern):
        if name not in PLACEHOLDERS:
            raise ValueError(f"unknown placeholder {{{name}}}; known: {', '.join(PLACEHOLDERS)}")
    return pattern


def render(pattern: str, values: Mapping[str, object]) -> str:
    """The pattern filled in and reduced to letters, digits, ``-``, ``_`` and ``.``; may be empty.

    Separators, control characters, leading dots and over-long text cannot survive, whatever the values hold.
    """
    text = _PLACEHOLDER.sub(lambda match: str(values[match[1]]), pattern)
    safe = re.sub(r"[^\w.-]+", "-", text.encode("ascii", "ignore").decode())
    return safe[:LONGEST_NAME].strip("-._")
