"""Attention weights, beside A1111's published behaviour."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfumato_engine.prompts import escape, parse_attention
from sfumato_engine.prompts.attention import parse_chunks
from sfumato_engine.prompts.syntax import MAX_DEPTH

from .strategies import ANY

WORDS = st.text(st.characters(blacklist_characters="\\()[]:", blacklist_categories=("Cs",)), min_size=1)


@pytest.mark.parametrize(
    ("prompt", "pieces"),
    [
        ("normal text", [("normal text", 1.0)]),
        ("", [("", 1.0)]),
        ("an (important) word", [("an ", 1.0), ("important", 1.1), (" word", 1.0)]),
        ("(unbalanced", [("unbalanced", 1.1)]),
        ("never opened)", [("never opened)", 1.0)]),
        (r"\(literal\] \[ \\", [(r"(literal] [ " + "\\", 1.0)]),
        ("(unnecessary)(parens)", [("unnecessaryparens", 1.1)]),
        ("[a]", [("a", 1 / 1.1)]),
        ("(a:1.2)", [("a", 1.2)]),
        ("(a: .5 ) b", [("a", 0.5), (" b", 1.0)]),
        ("(a:-1)", [("a", -1.0)]),
        ("(a:b) c:1.5) d", [("a:b", 1.1), (" c:1.5) d", 1.0)]),
        ("(a:1.2.3)", [("a:1.2.3", 1.1)]),
        ("(a [b) c]", [("a ", 1.1), ("b", 1.1 * (1 / 1.1)), (" c", 1 / 1.1)]),
        ("[a (b] c:1.5) d", [("a ", 1 / 1.1), ("b", 1.5 / 1.1), (" c", 1.5), (" d", 1.0)]),
        ("((a:1.3) [b", [("a", 1.43), (" ", 1.1), ("b", 1.0)]),
        ("()a[]", [("a", 1.0)]),
        ("a | b", [("a | b", 1.0)]),
        (
            "a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).",
            [
                ("a ", 1.0),
                ("house", 1.3 * 1.1 * 1.1),
                (" ", 1.1),
                ("on", 1.0),
                (" a ", 1.1),
                ("hill", 0.55),
                (", sun, ", 1.1),
                ("sky", 1.1**4),
                (".", 1.1),
            ],
        ),
    ],
)
def test_prompts_are_weighted_as_people_know_it(prompt: str, pieces: list[tuple[str, float]]) -> None:
    read = parse_attention(prompt)
    assert [text for text, _ in read] == [text for text, _ in pieces]
    assert [weight for _, weight in read] == pytest.approx([weight for _, weight in pieces])


@given(WORDS)
def test_text_without_brackets_is_left_alone(text: str) -> None:
    assert parse_attention(text) == [(text, 1.0)]


@given(st.text("ab\\()[]:1.2 BREAK") | ANY)
def test_escaped_text_comes_back_as_it_was(text: str) -> None:
    assert parse_attention(escape(text)) == [(text, 1.0)]


@given(WORDS, st.lists(st.floats(0.1, 4).map(lambda weight: round(weight, 3)), min_size=1, max_size=8))
def test_nested_weights_multiply(text: str, weights: list[float]) -> None:
    prompt, product = text, 1.0
    for weight in weights:
        prompt, product = f"({prompt}:{weight})", product * weight
    ((read, weight),) = parse_attention(prompt)
    assert read == text
    assert weight == pytest.approx(product)


@given(ANY)
def test_nothing_is_an_error_and_neighbours_differ(prompt: str) -> None:
    pieces = parse_attention(prompt)
    assert pieces
    assert all(left[1] != right[1] for left, right in pairwise(pieces))


@given(ANY)
def test_pieces_hold_nothing_that_was_not_written(prompt: str) -> None:
    written = iter(prompt)
    assert all(character in written for text, _ in parse_attention(prompt) for character in text)


@pytest.mark.parametrize(
    ("text", "chunks"),
    [
        ("", ((("", 1.0),),)),
        ("a BREAK b", ((("a", 1.0),), (("b", 1.0),))),
        ("a\n BREAK\n(b)", ((("a", 1.0),), (("b", 1.1),))),
        ("a:BREAK,b", ((("a:", 1.0),), ((",b", 1.0),))),
        ("(a)BREAK", ((("a", 1.1),),)),
        ("a BREAK ", ((("a", 1.0),),)),
        ("BREAK a", ((("", 1.0),), (("a", 1.0),))),
        ("a BREAK BREAK b", ((("a", 1.0),), (("", 1.0),), (("b", 1.0),))),
        ("a BREAKS b", ((("a BREAKS b", 1.0),),)),
        ("a break b", ((("a break b", 1.0),),)),
    ],
)
def test_break_begins_a_chunk(text: str, chunks: object) -> None:
    assert parse_chunks(text) == chunks


def test_break_within_brackets_is_one_too() -> None:
    assert parse_chunks("(a BREAK b:1.2) [BREAK c]") == (
        (("a", 1.2),),
        (("b", 1.2), (" ", 1.0)),
        (("c", 1 / 1.1),),
    )


def test_a_long_number_that_is_no_weight_is_text() -> None:
    assert parse_attention(f"(a:{'1' * 100_000}x)") == [(f"a:{'1' * 100_000}x", 1.1)]


def test_text_is_one_piece_from_however_many_tokens() -> None:
    assert parse_attention(r"\(" * 100_000) == [("(" * 100_000, 1.0)]


def test_deep_nesting_by_a_stranger_is_text_beyond_a_depth() -> None:
    pieces = parse_attention("(a" * 50_000 + ")b" * 50_000)
    assert max(weight for _, weight in pieces) == pytest.approx(1.1**MAX_DEPTH)
    assert sum(text.count("a") for text, _ in pieces) == 50_000


def test_crossing_brackets_by_a_stranger_are_read_too() -> None:
    assert parse_attention(("(a" * 12 + "[b" * 12 + ")" * 12 + "]" * 12) * 300 + "c")[-1] == ("c", 1.0)
