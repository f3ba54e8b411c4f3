"""Stretches of one meaning, for colours."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given

from sfumato_engine.prompts import tokens

from .strategies import ANY


def test_every_sign_has_the_kind_of_what_it_makes() -> None:
    source = "a (b:1.2)<lora:x:1> [c:d:3] [e|f] BREAK g AND h:2"
    assert [(token.kind, source[token.start : token.end]) for token in tokens(source)] == [
        ("text", "a "),
        ("emphasis", "("),
        ("text", "b"),
        ("emphasis", ":1.2)"),
        ("network", "<lora:x:1>"),
        ("text", " "),
        ("scheduled", "["),
        ("text", "c"),
        ("scheduled", ":"),
        ("text", "d"),
        ("scheduled", ":3]"),
        ("text", " "),
        ("alternation", "["),
        ("text", "e"),
        ("alternation", "|"),
        ("text", "f"),
        ("alternation", "]"),
        ("break", " BREAK "),
        ("text", "g"),
        ("and", " AND"),
        ("text", " h"),
        ("and", ":2"),
    ]


@given(ANY)
def test_tokens_cover_the_text_without_gaps(source: str) -> None:
    found = tokens(source)
    assert "".join(source[token.start : token.end] for token in found) == source
    assert all(left.end == right.start and left.kind != right.kind for left, right in pairwise(found))
