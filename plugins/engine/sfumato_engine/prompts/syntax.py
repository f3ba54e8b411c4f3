"""The syntax tree of a prompt.

Every node knows its span in the text as the user wrote it: ``source[start:end]``, brackets and all. A span
may hold extra-network tags; they are no part of the node, and are taken out before anything else is read.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

MAX_DEPTH = 25
"""Brackets nested deeper than this are plain text. It bounds the tree and the time to build it; 25 round ones
are a weight of 11 already."""


@dataclass(frozen=True)
class Text:
    """Words as encoders read them: escapes are resolved."""

    text: str
    start: int
    end: int


@dataclass(frozen=True)
class Emphasis:
    """``(children)``, ``[children]`` or ``(children:weight)``: their weights are multiplied by `weight`.

    Where brackets cross, as in ``(a [b) c]``, or are never closed, one bracket may have several nodes, or a
    span that lacks one of its ends. A weight that changes over the steps, as in ``(a:[1.2:1.5:5])``, is no
    number yet: the node stands as if it had none, and only the compiled prompt tells.
    """

    weight: float
    children: tuple[Node, ...]
    start: int
    end: int


@dataclass(frozen=True)
class Scheduled:
    """``[before:after:when]``, ``[after:when]`` or ``[before::when]``.

    Attributes:
        before: What stands there up to and including step `when`.
        after: What stands there from then on.
        when: A step, counted from 1, or as a float the fraction of all steps.
    """

    before: tuple[Node, ...]
    after: tuple[Node, ...]
    when: int | float
    start: int
    end: int


@dataclass(frozen=True)
class Alternation:
    """``[a|b|c]``: another option each step, over and over. An option may be empty."""

    options: tuple[tuple[Node, ...], ...]
    start: int
    end: int


@dataclass(frozen=True)
class Break:
    """``BREAK``: what follows is encoded apart. The span takes in the white space around it."""

    start: int
    end: int


Node: TypeAlias = Text | Emphasis | Scheduled | Alternation | Break


@dataclass(frozen=True)
class Part:
    """One of the texts joined by ``AND``, whose guidance is multiplied by `weight`."""

    weight: float
    children: tuple[Node, ...]
    start: int
    end: int


@dataclass(frozen=True)
class ExtraNetwork:
    """A tag like ``<lora:name:0.8:te=0.5>``; two are equal wherever they stand.

    Attributes:
        kind: The word before the first colon.
        positional: Arguments in order, as text; for most kinds the first is a name.
        named: Arguments written ``key=value``.
    """

    kind: str
    positional: tuple[str, ...]
    named: Mapping[str, str] = field(default_factory=dict, hash=False)
    start: int = field(default=0, compare=False)
    end: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Prompt:
    """A whole prompt: at least one part, and the tags that were found in it."""

    parts: tuple[Part, ...]
    networks: tuple[ExtraNetwork, ...]
    source: str


@dataclass(frozen=True)
class Origin:
    """Where a text's characters stand in the source it was taken from, piece by piece.

    Attributes:
        starts: Where each piece begins, ascending from 0.
        sources: Where it begins in the source.
        offset: Where the text at hand begins in the one that `starts` count in.
    """

    starts: tuple[int, ...] = (0,)
    sources: tuple[int, ...] = (0,)
    offset: int = 0

    def position(self, index: int) -> int:
        """The place in the source of the character at `index`."""
        index += self.offset
        piece = bisect_right(self.starts, index) - 1
        return self.sources[piece] + index - self.starts[piece]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The narrowest span of the source that holds all characters of ``text[start:end]``."""
        first = self.position(start)
        return first, self.position(end - 1) + 1 if end > start else first
