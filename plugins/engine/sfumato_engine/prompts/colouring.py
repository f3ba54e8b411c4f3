"""A prompt's text cut into stretches of one meaning, for syntax colouring."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import Literal, TypeAlias

from sfumato_engine.prompts.parsing import parse
from sfumato_engine.prompts.syntax import Alternation, Break, Emphasis, Node, Prompt, Scheduled, Text

Kind: TypeAlias = Literal["text", "emphasis", "scheduled", "alternation", "break", "and", "network"]

_KINDS: dict[type[Node], Kind] = {
    Text: "text",
    Emphasis: "emphasis",
    Scheduled: "scheduled",
    Alternation: "alternation",
    Break: "break",
}


@dataclass(frozen=True)
class Token:
    """``source[start:end]`` is of one kind.

    The kind of a bracket, colon, bar or number is that of the node it makes: "emphasis", "scheduled" or
    "alternation"; "and" is the word and the weights beside it.
    """

    kind: Kind
    start: int
    end: int


def tokens(prompt: str | Prompt) -> list[Token]:
    """The whole prompt without gaps or overlaps; neighbours differ in kind."""
    tree = parse(prompt) if isinstance(prompt, str) else prompt
    kinds: list[Kind] = ["and"] * len(tree.source)
    for part in tree.parts:
        _paint(kinds, part.start, part.end, "text")
        _paint_nodes(kinds, part.children)
    for network in tree.networks:
        _paint(kinds, network.start, network.end, "network")
    found, start = [], 0
    for kind, characters in groupby(kinds):
        end = start + sum(1 for _ in characters)
        found.append(Token(kind, start, end))
        start = end
    return found


def _paint(kinds: list[Kind], start: int, end: int, kind: Kind) -> None:
    kinds[start:end] = [kind] * (end - start)


def _paint_nodes(kinds: list[Kind], nodes: Iterable[Node]) -> None:
    """What children leave bare shows the kind of the node around them."""
    for node in nodes:
        _paint(kinds, node.start, node.end, _KINDS[type(node)])
        for children in _children(node):
            _paint_nodes(kinds, children)


def _children(node: Node) -> tuple[tuple[Node, ...], ...]:
    if isinstance(node, Emphasis):
        return (node.children,)
    if isinstance(node, Scheduled):
        return node.before, node.after
    return node.options if isinstance(node, Alternation) else ()
