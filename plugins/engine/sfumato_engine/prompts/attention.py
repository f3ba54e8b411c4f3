"""Attention weights and BREAK, as AUTOMATIC1111 reads them.

====================  ==================================================
``(text)``            weight x 1.1, nests: ``((text))`` is x 1.21
``[text]``            weight / 1.1
``(text:1.4)``        weight x 1.4
``\\( \\) \\[ \\] \\\\``     the character itself
``BREAK``             what follows is encoded apart
====================  ==================================================

Nothing is an error: a bracket that is never closed acts up to the end of the prompt, one that was never
opened is text, and so is a number that belongs to no bracket. A lone backslash vanishes, as it does there.
Unlike there, BREAK is one within brackets too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter

from sfumato_engine.prompts.syntax import MAX_DEPTH, Break, Emphasis, Node, Origin, Text

FACTORS = {"(": 1.1, "[": 1 / 1.1}
_OPENING = {")": "(", "]": "["}

_TOKEN = re.compile(
    r"""
      \\(?P<escaped>[()\[\]\\]?)
    | :\s*(?P<factor>[+-]?(?:\d+(?:\.\d*)?|\.\d+))\s*\)
    | (?P<bracket>[()\[\]])
    | (?P<text>[^\\()\[\]:]+|:)
    """,
    re.VERBOSE,
)
_BREAK = re.compile(r"\bBREAK\b")
_SPACE = re.compile(r"\s*")
_SPECIAL = re.compile(r"[\\()\[\]]")

Chunk = tuple[tuple[str, float], ...]
"""Pieces of text with their weights."""

EMPTY: Chunk = (("", 1.0),)


def parse_attention(prompt: str) -> list[tuple[str, float]]:
    """Split a prompt into pieces of equal weight, in order; neighbours never share a weight. BREAK is a word.

    Returns:
        ``(text, weight)`` pairs; ``[("", 1.0)]`` for a prompt without text.
    """
    reader = AttentionReader(prompt, breaks=False)
    reader.read(0, len(prompt))
    return list(_merged(_pieces(reader.nodes())))


def parse_chunks(text: str) -> tuple[Chunk, ...]:
    """The pieces between one BREAK and the next, at least one chunk; one without text is ``(("", 1.0),)``.

    Nothing behind the last BREAK is no chunk, but nothing before the first one is.
    """
    reader = AttentionReader(text)
    reader.read(0, len(text))
    chunks: list[list[tuple[str, float]]] = [[]]
    for piece, weight in _pieces(reader.nodes()):
        if piece is None:
            chunks.append([])
        else:
            chunks[-1].append((piece, weight))
    if len(chunks) > 1 and not any(piece.strip() for piece, _ in chunks[-1]):
        del chunks[-1]
    return tuple(_merged(chunk) for chunk in chunks)


def escape(text: str) -> str:
    """Text that is read as it stands: ``parse_attention(escape(text)) == [(text, 1.0)]``."""
    return _SPECIAL.sub(r"\\\g<0>", text)


def _pieces(nodes: Iterable[Node]) -> Iterator[tuple[str | None, float]]:
    """Texts with their weights, None for a break; weights multiply from the innermost bracket outwards."""
    for node in nodes:
        if isinstance(node, Text):
            yield node.text, 1.0
        elif isinstance(node, Emphasis):
            for text, weight in _pieces(node.children):
                yield text, weight * node.weight
        elif isinstance(node, Break):
            yield None, 1.0


def _merged(pieces: Iterable[tuple[str | None, float]]) -> Chunk:
    texts = ((text, weight) for text, weight in pieces if text)
    return (
        tuple(
            ("".join(text for text, _ in group), weight)
            for weight, group in groupby(texts, key=itemgetter(1))
        )
        or EMPTY
    )


@dataclass
class _Bracket:
    """One that is open, or the text around all of them."""

    opening: str
    start: int
    children: list[Node] = field(default_factory=list)


class AttentionReader:
    """Reads stretches of one text, with nodes of other kinds between them, into a tree of weights.

    Brackets of the two kinds need not nest. One that is closed while others are open within it acts on what
    these hold so far, and on nothing more: their children get a node of their own.
    """

    def __init__(self, text: str, origin: Origin | None = None, *, breaks: bool = True) -> None:
        self._text = text
        self._origin = origin or Origin()
        self._breaks = breaks
        self._open = [_Bracket("", 0)]
        self._words: list[str] = []
        self._words_start = 0
        self._words_end = 0

    def read(self, start: int, end: int) -> None:
        """Read ``text[start:end]``."""
        for token in _TOKEN.finditer(self._text, start, end):
            self._take(token)

    def add(self, node: Node) -> None:
        """Put a node here that was read elsewhere."""
        self._end_words()
        self._open[-1].children.append(node)

    def nodes(self) -> tuple[Node, ...]:
        """All that was read; brackets that are still open act up to here, the round ones first."""
        self._end_words()
        for opening in "([":
            while self._find(opening):
                self._close(opening, FACTORS[opening], len(self._text))
        return tuple(self._open[0].children)

    def _take(self, token: re.Match[str]) -> None:
        bracket, factor = token["bracket"], token["factor"]
        if factor is not None and self._find("("):
            self._close("(", float(factor), token.end())
        elif bracket in FACTORS and len(self._open) <= MAX_DEPTH:
            self._end_words()
            self._open.append(_Bracket(bracket, self._origin.position(token.start())))
        elif bracket in _OPENING and self._find(_OPENING[bracket]):
            self._close(_OPENING[bracket], FACTORS[_OPENING[bracket]], token.end())
        elif token["escaped"] is not None:
            self._add_words(token["escaped"], token.start(), token.end())
        else:
            self._add_text(token[0], token.start())

    def _find(self, opening: str) -> int:
        """The place of the innermost open bracket of this kind, 0 when there is none."""
        places = range(len(self._open) - 1, 0, -1)
        return next((place for place in places if self._open[place].opening == opening), 0)

    def _close(self, opening: str, factor: float, end: int) -> None:
        self._end_words()
        place = self._find(opening)
        closed, innermost = self._open[place], self._open[-1]
        _, source_end = self._origin.span(end - 1, end)
        for bracket in self._open[place:]:
            children = bracket.children
            if children or bracket is closed is innermost:
                first = closed.start if bracket is closed else children[0].start
                last = source_end if bracket is innermost else children[-1].end
                bracket.children = [Emphasis(factor, tuple(children), first, last)]
        del self._open[place]
        self._open[place - 1].children += closed.children

    def _add_text(self, text: str, start: int) -> None:
        position = 0
        for word in _BREAK.finditer(text) if self._breaks else ():
            before = text[position : word.start()].rstrip()
            if before:
                self._add_words(before, start + position, start + position + len(before))
            space = _SPACE.match(text, word.end())
            end = space.end() if space else word.end()
            self.add(Break(*self._origin.span(start + position + len(before), start + end)))
            position = end
        if position < len(text):
            self._add_words(text[position:], start + position, start + len(text))

    def _add_words(self, text: str, start: int, end: int) -> None:
        if not self._words:
            self._words_start = start
        self._words.append(text)
        self._words_end = end

    def _end_words(self) -> None:
        if self._words:
            span = self._origin.span(self._words_start, self._words_end)
            self._open[-1].children.append(Text("".join(self._words), *span))
            self._words = []
