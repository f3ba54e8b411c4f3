"""``AND``: prompts that are denoised each for itself and summed by weight.

Liu et al. 2022, "Compositional Visual Generation with Composable Diffusion Models".
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_AND = re.compile(r"\bAND\b")
_WEIGHT = re.compile(r"\s*([-+]?(?:\d+\.?|\d*\.\d+))")


def split_and(text: str) -> list[tuple[str, float]]:
    """The texts between the words ``AND``, each with its weight: ``a AND b :0.5`` is a x 1 and b x 0.5.

    Only the whole word in capitals counts, wherever it stands. A text loses the white space behind it; one
    without a number at its end, behind a colon, weighs 1.
    """
    return [(text[start:end], weight) for start, end, weight in parts(text)]


def parts(text: str) -> Iterator[tuple[int, int, float]]:
    """``(start, end, weight)`` of each text."""
    start = 0
    for word in _AND.finditer(text):
        yield _part(text, start, word.start())
        start = word.end()
    yield _part(text, start, len(text))


def _part(text: str, start: int, end: int) -> tuple[int, int, float]:
    part = text[start:end].rstrip()
    head, colon, tail = part.rpartition(":")
    weight = _WEIGHT.fullmatch(tail) if colon else None
    if weight is None:
        return start, start + len(part), 1.0
    return start, start + len(head.rstrip()), float(weight[1])
