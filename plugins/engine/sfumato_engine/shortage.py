"""Telling a lack of memory from other errors; no tensor library is imported for it."""

from __future__ import annotations

WORDS = ("not enough memory", "can't allocate memory", "out of memory")
"""What torch says of it, on a CPU in words alone."""


def is_shortage(error: BaseException) -> bool:
    """Whether torch or Python ran out of memory."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(words in text for words in WORDS)
