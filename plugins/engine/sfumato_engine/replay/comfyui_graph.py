"""ComfyUI's graphs in API form: nodes by number, each with a kind and inputs, which are values or links."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sfumato.errors import BadInput

LONGEST_CHAIN = 200
"""Nodes in a row; a stranger's graph may go in a circle."""
_VALUE_INPUTS = ("value", "text", "string", "seed", "int", "float", "number", "prompt", "wildcard_text")
"""Where nodes that only hand on a value keep it."""


@dataclass(frozen=True)
class Node:
    """A node of the graph.

    Attributes:
        kind: Its class in ComfyUI: "KSampler".
    """

    number: str
    kind: str
    inputs: Mapping[str, Any]

    def link(self, name: str) -> str:
        """The number of the node that an input comes from; empty for a value."""
        match self.inputs.get(name):
            case [str() | int() as number, int()]:
                return str(number)
        return ""

    def output(self, name: str) -> int:
        """Which output of that node it is, from 0."""
        match self.inputs.get(name):
            case [_, int() as output]:
                return output
        return 0


class Graph:
    """The nodes of a graph, and which of them were understood.

    Attributes:
        opaque: Nodes that a value was asked of, and whose value is not known.

    Raises:
        BadInput: the text is no such graph.
    """

    def __init__(self, text: str) -> None:
        self._nodes = _nodes(text)
        self.understood: set[str] = set()
        self.opaque: list[Node] = []

    def of_kind(self, *kinds: str) -> list[Node]:
        """All nodes of these kinds, in the order of their numbers as far as they are some."""
        return sorted((node for node in self._nodes.values() if node.kind in kinds), key=_order)

    def understand(self, node: Node) -> Node:
        self.understood.add(node.number)
        return node

    def source(self, node: Node, name: str) -> Node | None:
        """The node that an input comes from."""
        return self._nodes.get(node.link(name))

    def value(self, node: Node, name: str) -> Any:
        """The value of an input, through nodes that hand one on; None where there is none."""
        for _ in range(LONGEST_CHAIN):
            source = self.source(node, name)
            if source is None:
                given = node.inputs.get(name)
                return None if isinstance(given, dict | list) else given
            node, name = source, next((key for key in _VALUE_INPUTS if key in source.inputs), "")
            if not name:
                self.opaque.append(node)
                return None
            self.understand(node)
        return None

    def text(self, node: Node, name: str) -> str:
        """The value as text; empty where there is none."""
        value = self.value(node, name)
        return "" if value is None else str(value)

    def chain(
        self, node: Node, name: str, through: Mapping[str, tuple[str, ...]], *, second: str = ""
    ) -> list[Node]:
        """The nodes that lie behind an input, one behind the other.

        Args:
            through: By kind, the inputs by which it goes on; under "" those for kinds that are not named.
            second: The input by which it goes on from the second output of a node that has such an input.
        """
        found: list[Node] = []
        while (source := self.source(node, name)) is not None and len(found) < LONGEST_CHAIN:
            found.append(source)
            inputs = through.get(source.kind, through.get("", ()))
            if node.output(name) == 1 and second in source.inputs:
                inputs = (second,)
            node, name = source, next((each for each in inputs if self.source(source, each)), "")
        return found


def _nodes(text: str) -> dict[str, Node]:
    try:
        found = {str(number): _node(str(number), content) for number, content in json.loads(text).items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        why = "It is not the JSON that ComfyUI's server takes."
        raise BadInput("The picture's graph cannot be read.", why=why) from error
    return found


def _node(number: str, content: Any) -> Node:
    kind, inputs = content["class_type"], content["inputs"]
    if not (isinstance(kind, str) and isinstance(inputs, dict)):
        raise TypeError("a node of another shape")
    return Node(number, kind, inputs)


def _order(node: Node) -> tuple[int, str]:
    number = node.number
    return (int(number) if number.isdecimal() and len(number) < 10 else 2**31, number)
