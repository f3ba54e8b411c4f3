"""AND, beside A1111's published behaviour."""

from __future__ import annotations

import pytest
from hypothesis import given

from sfumato_engine.prompts import split_and

from .strategies import ANY


@pytest.mark.parametrize(
    ("prompt", "parts"),
    [
        ("", [("", 1.0)]),
        ("a cat", [("a cat", 1.0)]),
        ("a cat AND a dog", [("a cat", 1.0), (" a dog", 1.0)]),
        ("a cat :1.2 AND a dog AND a penguin :2.2", [("a cat", 1.2), (" a dog", 1.0), (" a penguin", 2.2)]),
        ("a AND b:-0.5", [("a", 1.0), (" b", -0.5)]),
        ("a AND b : .5 \n", [("a", 1.0), (" b", 0.5)]),
        ("a AND b:2.", [("a", 1.0), (" b", 2.0)]),
        ("a:1:2", [("a:1", 2.0)]),
        ("a:1.2.3", [("a:1.2.3", 1.0)]),
        ("a AND", [("a", 1.0), ("", 1.0)]),
        ("a,AND:2", [("a,", 1.0), ("", 2.0)]),
        ("sand AND SAND AND_ band", [("sand", 1.0), (" SAND AND_ band", 1.0)]),
        ("a and b", [("a and b", 1.0)]),
        ("(a AND b:1.2)", [("(a", 1.0), (" b:1.2)", 1.0)]),
    ],
)
def test_prompts_are_composed_as_people_know_it(prompt: str, parts: list[tuple[str, float]]) -> None:
    assert split_and(prompt) == parts


@given(ANY)
def test_parts_come_from_the_text_in_order(prompt: str) -> None:
    position = 0
    for text, _ in split_and(prompt):
        position = prompt.index(text, position) + len(text)
    assert len(split_and(prompt)) >= 1
