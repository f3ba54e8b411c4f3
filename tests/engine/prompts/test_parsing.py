"""The syntax tree and its places in the text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

import pytest
from hypothesis import given

from sfumato_engine.prompts import (
    Alternation,
    Break,
    Emphasis,
    ExtraNetwork,
    Node,
    Part,
    Prompt,
    Scheduled,
    Text,
    parse,
)

from .strategies import ANY


def children(node: Node | Part) -> tuple[Sequence[Node], ...]:
    match node:
        case Part() | Emphasis():
            return (node.children,)
        case Scheduled():
            return (node.before, node.after)
        case Alternation():
            return node.options
        case _:
            return ()


def walk(nodes: Sequence[Node | Part]) -> Iterator[Node | Part]:
    for node in nodes:
        yield node
        for found in children(node):
            yield from walk(found)


def test_a_prompt_becomes_a_tree() -> None:
    source = "a (b:1.2) [c:[d]:0.5] BREAK [e|] AND f:2"
    assert parse(source) == Prompt(
        parts=(
            Part(
                1.0,
                (
                    Text("a ", 0, 2),
                    Emphasis(1.2, (Text("b", 3, 4),), 2, 9),
                    Text(" ", 9, 10),
                    Scheduled(
                        (Text("c", 11, 12),),
                        (Emphasis(1 / 1.1, (Text("d", 14, 15),), 13, 16),),
                        0.5,
                        10,
                        21,
                    ),
                    Break(21, 28),
                    Alternation(((Text("e", 29, 30),), ()), 28, 32),
                ),
                0,
                32,
            ),
            Part(2.0, (Text(" f", 36, 38),), 36, 38),
        ),
        networks=(),
        source=source,
    )


def test_tags_are_beside_the_tree_and_places_count_them() -> None:
    tree = parse("<lora:x:1>(a<lora:y:2>b) c")
    assert tree.networks == (ExtraNetwork("lora", ("x", "1")), ExtraNetwork("lora", ("y", "2")))
    (part,) = tree.parts
    assert part.children == (Emphasis(1.1, (Text("ab", 11, 23),), 10, 24), Text(" c", 24, 26))


@pytest.mark.parametrize(("when", "read"), [("3", 3), (" 0.5 ", 0.5), ("2.", 2.0), ("1e1", 10)])
def test_a_point_makes_a_step_a_fraction(when: str, read: float) -> None:
    ((node,),) = (part.children for part in parse(f"[a:b:{when}]").parts)
    assert isinstance(node, Scheduled)
    assert (node.when, type(node.when)) == (read, type(read))


def test_what_is_scheduled_keeps_its_place_within_brackets_that_are_never_closed() -> None:
    ((node,),) = (part.children for part in parse("(a [b:3]").parts)
    assert node == Emphasis(1.1, (Text("a ", 1, 3), Scheduled((), (Text("b", 4, 5),), 3, 3, 8)), 0, 8)


def test_brackets_that_cross_act_on_pieces() -> None:
    (part,) = parse("(a [b) c]").parts
    assert part.children == (
        Emphasis(1.1, (Text("a ", 1, 3),), 0, 3),
        Emphasis(1 / 1.1, (Emphasis(1.1, (Text("b", 4, 5),), 4, 6), Text(" c", 6, 8)), 3, 9),
    )


@given(ANY)
def test_places_nest_in_order_within_the_text(source: str) -> None:
    tree = parse(source)
    for node in walk(tree.parts):
        assert 0 <= node.start <= node.end <= len(source)
        within = [child for found in children(node) for child in found]
        assert all(left.end <= right.start for left, right in pairwise(within))
        assert all(node.start <= child.start and child.end <= node.end for child in within)


@given(ANY)
def test_places_slice_back_to_what_was_written(source: str) -> None:
    tree = parse(source)
    for node in walk(tree.parts):
        written = re.sub(r"<\w+:[^>]+>", "", source[node.start : node.end])
        if isinstance(node, Text):
            assert re.sub(r"\\([()\[\]\\]?)", r"\1", written) == node.text
        elif isinstance(node, Break):
            assert written.strip() == "BREAK"
        elif isinstance(node, Scheduled | Alternation):
            assert written[0] + written[-1] == "[]"


@pytest.mark.parametrize(
    "source", ["(" * 100_000, "[a:" * 30_000 + ":1]" * 30_000, "[a|" * 30_000, "()" * 50_000]
)
def test_brackets_by_the_thousand_are_read_and_shown(source: str) -> None:
    assert repr(parse(source)).startswith("Prompt(")
