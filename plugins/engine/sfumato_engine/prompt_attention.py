"""Attention weights in prompts, as AUTOMATIC1111 reads them.

====================  ==================================================
``(text)``            weight x 1.1, nests: ``((text))`` is x 1.21
``[text]``            weight / 1.1
``(text:1.4)``        weight x 1.4
``\\( \\) \\[ \\] \\\\``     the character itself
====================  ==================================================

Nothing is an error: a bracket that is never closed acts up to the end of the prompt, one that was never
opened is text, and so is a number that belongs to no bracket. A lone backslash vanishes, as it does there.
"""

from __future__ import annotations

import re
from itertools import groupby
from operator import itemgetter

ROUND_FACTOR = 1.1
SQUARE_FACTOR = 1 / 1.1

_TOKEN = re.compile(
    r"""
      \\(?P<escaped>[()\[\]\\]?)
    | :\s*(?P<factor>[+-]?(?:\d+(?:\.\d*)?|\.\d+))\s*\)
    | (?P<bracket>[()\[\]])
    | (?P<text>[^\\()\[\]:]+|:)
    """,
    re.VERBOSE,
)


def parse_attention(prompt: str) -> list[tuple[str, float]]:
    """Split a prompt into pieces of equal weight, in order; neighbours never share a weight.

    Returns:
        ``(text, weight)`` pairs; ``[("", 1.0)]`` for a prompt without text.
    """
    reader = _Reader()
    for token in _TOKEN.finditer(prompt):
        reader.take(token)
    return reader.pieces() or [("", 1.0)]


class _Reader:
    """Round brackets form a tree, whose factors are known when they close; open square ones are only counted.

    This keeps reading linear in the prompt's length, however deep strangers nest.
    """

    def __init__(self) -> None:
        self._factors = [1.0]
        self._parents = [0]
        self._open_round: list[int] = []
        self._open_square = 0
        self._texts: list[tuple[str, int, int]] = []

    def take(self, token: re.Match[str]) -> None:
        if token["factor"] is not None and self._open_round:
            self._close_round(float(token["factor"]))
        elif token["bracket"] == "(":
            self._open()
        elif token["bracket"] == "[":
            self._open_square += 1
        elif token["bracket"] == ")" and self._open_round:
            self._close_round(ROUND_FACTOR)
        elif token["bracket"] == "]" and self._open_square:
            self._open_square -= 1
        else:
            text = token[0] if token["escaped"] is None else token["escaped"]
            self._texts.append((text, self._group, self._open_square))

    @property
    def _group(self) -> int:
        return self._open_round[-1] if self._open_round else 0

    def _open(self) -> None:
        self._parents.append(self._group)
        self._factors.append(ROUND_FACTOR)
        self._open_round.append(len(self._factors) - 1)

    def _close_round(self, factor: float) -> None:
        self._factors[self._open_round.pop()] = factor

    def pieces(self) -> list[tuple[str, float]]:
        weights = [1.0]
        for factor, parent in zip(self._factors[1:], self._parents[1:], strict=True):
            weights.append(factor * weights[parent])
        weighted = (
            (text, weights[group] * SQUARE_FACTOR**squares) for text, group, squares in self._texts if text
        )
        return [
            ("".join(text for text, _ in pieces), weight)
            for weight, pieces in groupby(weighted, key=itemgetter(1))
        ]
