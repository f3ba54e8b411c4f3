"""Attention weights, beside A1111's published behaviour."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfumato_engine.prompt_attention import parse_attention

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


@given(st.text("ab\\()[]:1.2", min_size=1))
def test_escaped_text_comes_back_as_it_was(text: str) -> None:
    escaped = "".join(f"\\{character}" if character in "\\()[]" else character for character in text)
    assert parse_attention(escaped) == [(text, 1.0)]


@given(WORDS, st.lists(st.floats(0.1, 4).map(lambda weight: round(weight, 3)), min_size=1, max_size=8))
def test_nested_weights_multiply(text: str, weights: list[float]) -> None:
    prompt, product = text, 1.0
    for weight in weights:
        prompt, product = f"({prompt}:{weight})", product * weight
    ((read, weight),) = parse_attention(prompt)
    assert read == text
    assert weight == pytest.approx(product)


@given(st.text("ab \\()[]:1.2-", max_size=40))
def test_nothing_is_an_error_and_neighbours_differ(prompt: str) -> None:
    pieces = parse_attention(prompt)
    assert pieces
    assert all(left[1] != right[1] for left, right in pairwise(pieces))


def test_a_long_number_that_is_no_weight_is_text() -> None:
    assert parse_attention(f"(a:{'1' * 100_000}x)") == [(f"a:{'1' * 100_000}x", 1.1)]


def test_text_is_one_piece_from_however_many_tokens() -> None:
    assert parse_attention(r"\(" * 100_000) == [("(" * 100_000, 1.0)]


def test_deep_nesting_by_a_stranger_is_read_at_once() -> None:
    assert len(parse_attention("(a" * 30_000 + "[b" * 30_000)) > 1000
