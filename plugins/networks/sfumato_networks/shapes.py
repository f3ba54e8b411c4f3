"""Reading the size of a network off the names of its tensors. Imports no torch: detection uses it."""

from __future__ import annotations

import re
from collections.abc import Iterable


def count_blocks(names: Iterable[str], prefix: str) -> int:
    """How many different numbers N occur in names that begin with ``prefix`` + ``N.`` (prefix ends in a dot).

    Numbers that occur are counted, rather than the highest one taken, so that a name such as
    ``blocks.999999999.x`` in a hostile file cannot ask for a billion blocks.
    """
    pattern = re.compile(re.escape(prefix) + r"(\d+)\.")
    return len({match[1] for name in names if (match := pattern.match(name))})
