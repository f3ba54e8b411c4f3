"""File names from a pattern such as ``{seed}-{prompt}``, safe on every file system."""

from __future__ import annotations

import re
from collections.abc import Mapping
from unicodedata import category, normalize

PLACEHOLDERS = ("seed", "model", "width", "height", "date", "prompt")
LONGEST_NAME = 120
"""In characters: Windows counts the folders before it too."""
LONGEST_IN_BYTES = 240
"""File systems take 255; this leaves room for the number and the suffix."""

_PLACEHOLDER = re.compile(r"\{(\w*)\}")


def check_pattern(pattern: str) -> str:
    """The pattern itself; raises `ValueError` for a placeholder that is not in `PLACEHOLDERS`."""
    for name in _PLACEHOLDER.findall(pattern):
        if name not in PLACEHOLDERS:
            raise ValueError(f"unknown placeholder {{{name}}}; known: {', '.join(PLACEHOLDERS)}")
    return pattern


def render(pattern: str, values: Mapping[str, object]) -> str:
    """The pattern filled in, reduced to letters and numbers of any script, ``-``, ``_``, ``.``; may be empty.

    Separators, control characters, leading dots and over-long text cannot survive, whatever the values hold.
    """
    text = _PLACEHOLDER.sub(lambda match: str(values[match[1]]), pattern)
    safe = "".join(character if _is_safe(character) else " " for character in normalize("NFC", text))
    short = "-".join(safe.split())[:LONGEST_NAME].encode()[:LONGEST_IN_BYTES].decode(errors="ignore")
    return short.strip("-._")


def _is_safe(character: str) -> bool:
    """Letters, the marks that some scripts write on them, numbers, and three signs."""
    return character in "-_." or category(character)[0] in "LMN"
