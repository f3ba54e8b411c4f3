"""A small chart for a terminal: values over time in a line of blocks."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

BLOCKS = "▁▂▃▄▅▆▇█"
PLAIN = "_.-~=+*#"
WIDTH = 40


def spark_line(values: Sequence[int], *, width: int = WIDTH, encoding: str | None = "utf-8") -> str:
    """Values from the oldest to the newest, between the lowest and the highest of them.

    Args:
        width: Characters at most; where there are more values, the highest of several stands for them.
        encoding: Of the stream that it is written to, which may know no blocks.
    """
    shown = _thinned(values, width)
    if not shown:
        return ""
    blocks = BLOCKS if _can_write(BLOCKS, encoding) else PLAIN
    low, high = min(shown), max(shown)
    if low == high:
        return blocks[3] * len(shown)
    return "".join(blocks[round((value - low) / (high - low) * (len(blocks) - 1))] for value in shown)


def _thinned(values: Sequence[int], width: int) -> list[int]:
    if len(values) <= width:
        return list(values)
    bounds = [round(place * len(values) / width) for place in range(width + 1)]
    return [max(values[first:last]) for first, last in pairwise(bounds)]


def _can_write(text: str, encoding: str | None) -> bool:
    try:
        text.encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
