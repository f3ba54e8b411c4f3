"""What a prompt says at each step, beside A1111's published behaviour."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfumato_engine.prompts import schedule
from sfumato_engine.prompts.syntax import MAX_DEPTH

from .strategies import ANY, WELL_FORMED, Meant


@pytest.mark.parametrize(
    ("prompt", "entries"),
    [
        ("test", [(10, "test")]),
        ("", [(10, "")]),
        ("a [b:3]", [(3, "a "), (10, "a b")]),
        ("a [b: 3]", [(3, "a "), (10, "a b")]),
        ("a [b::3]", [(3, "a b"), (10, "a ")]),
        ("a [b : c : 1] d", [(1, "a b  d"), (10, "a  c  d")]),
        ("a [b:c:.5] d", [(5, "a b d"), (10, "a c d")]),
        ("a [b:c:0.25] d", [(2, "a b d"), (10, "a c d")]),
        ("[a:b:1.]", [(10, "a")]),
        ("[a:b:1]", [(1, "a"), (10, "b")]),
        ("[a:b:0]", [(10, "b")]),
        ("[a:b:0.01]", [(10, "b")]),
        ("[a:b:-1]", [(10, "b")]),
        ("[a:b:99]", [(10, "a")]),
        ("[a:b:+4]", [(4, "a"), (10, "b")]),
        ("[a:b:4e0]", [(4, "a"), (10, "b")]),
        ("[a:a:3]", [(3, "a"), (10, "a")]),
        ("[:3]", [(3, ""), (10, "")]),
        ("[3]", [(10, "[3]")]),
        ("a [[[b]]:2]", [(2, "a "), (10, "a [[b]]")]),
        ("[(a:2):3]", [(3, ""), (10, "(a:2)")]),
        ("a[b:[c:d:2]:1]e", [(1, "abe"), (2, "ace"), (10, "ade")]),
        ("a[[b:c:2]:d:4]", [(2, "ab"), (4, "ac"), (10, "ad")]),
        ("(a:[1.2:1.5:5])", [(5, "(a:1.2)"), (10, "(a:1.5)")]),
        ("[a BREAK b:c AND d:5]", [(5, "a BREAK b"), (10, "c AND d")]),
    ],
)
def test_prompts_are_edited_as_people_know_it(prompt: str, entries: list[tuple[int, str]]) -> None:
    assert schedule(prompt, 10) == entries


@pytest.mark.parametrize(
    ("prompt", "turns"),
    [
        ("[cow|horse] in a field", ["cow in a field", "horse in a field"]),
        ("[a|(b:1.1)]", ["a", "(b:1.1)"]),
        ("[fe|]male", ["female", "male"]),
        ("[fe|||]male", ["female", "male", "male", "male"]),
        ("[a|b|c|d]", ["a", "b", "c", "d"]),
        ("[[a|b]|c]", ["a", "c"]),
        ("[a|b][c|d|e]", ["ac", "bd", "ae", "bc", "ad", "be"]),
    ],
)
def test_alternatives_take_turns(prompt: str, turns: list[str]) -> None:
    assert schedule(prompt, 10) == [(step, turns[(step - 1) % len(turns)]) for step in range(1, 11)]


def test_many_changes_in_one_prompt_come_in_order() -> None:
    prompt = "a [bay:lake:0.25], [elms:a fir:0.75][ before it::0.6][ behind it:0.25] [rough:fine:0.5]"
    assert schedule(prompt, 100) == [
        (25, "a bay, elms before it rough"),
        (50, "a lake, elms before it behind it rough"),
        (60, "a lake, elms before it behind it fine"),
        (75, "a lake, elms behind it fine"),
        (100, "a lake, a fir behind it fine"),
    ]


@pytest.mark.parametrize(
    ("prompt", "entries"),
    [
        ("a [unbalanced", [(10, "a [unbalanced")]),
        ("a ] b [c:3]", [(3, "a ] b "), (10, "a ] b c")]),
        ("[c:3] ) a", [(3, " ) a"), (10, "c ) a")]),
        ("((a][:b:c [d:3]", [(3, "((a][:b:c "), (10, "((a][:b:c d")]),
        ("[a:b:c:3] [d:5]", [(5, "[a:b:c:3] "), (10, "[a:b:c:3] d")]),
        ("[a:b] [c:d:3]", [(3, "[a:b] c"), (10, "[a:b] d")]),
        ("[x [a:b] y:c:3]", [(10, "[x [a:b] y:c:3]")]),
        ("[x (a:b:c) y:z:3]", [(10, "[x (a:b:c) y:z:3]")]),
        ("[a (b:c:3]", [(10, "[a (b:c:3]")]),
        ("[a:b:3", [(10, "[a:b:3")]),
        (r"\[a:b:3]", [(10, r"\[a:b:3]")]),
        (r"[a\:b:c:3]", [(3, r"a\:b"), (10, "c")]),
        ("a | b", [(10, "a | b")]),
        ("[a:b:3] | c", [(10, "[a:b:3] | c")]),
        ("(a|b) [c|d]", [(10, "(a|b) [c|d]")]),
        ("[a|b:3]", [(10, "[a|b:3]")]),
        ("[a:b:3] \\", [(10, "[a:b:3] \\")]),
        ("[a:b:3] \\\n", [(10, "[a:b:3] \\\n")]),
    ],
)
def test_broken_prompts_are_text_where_they_are_broken(prompt: str, entries: list[tuple[int, str]]) -> None:
    assert schedule(prompt, 10) == entries


@given(WELL_FORMED, st.integers(1, 10))
def test_every_step_has_the_text_that_was_meant(prompt: Meant, steps: int) -> None:
    entries = schedule(prompt.source, steps)
    for step in range(1, steps + 1):
        in_force = next(text for last, text in entries if step <= last)
        assert in_force == prompt.at(step, steps)


@given(ANY, st.integers(1, 40))
def test_schedules_cover_all_steps_of_any_text(prompt: str, steps: int) -> None:
    lasts = [last for last, _ in schedule(prompt, steps)]
    assert lasts[-1] == steps
    assert lasts[0] >= 1
    assert all(left < right for left, right in pairwise(lasts))


@given(ANY)
def test_texts_hold_nothing_that_was_not_written(prompt: str) -> None:
    for _, text in schedule(prompt, 7):
        written = iter(prompt)
        assert all(character in written for character in text)


@pytest.mark.parametrize("when", ["9" * 5000, "1e999", "-1e999", "." + "9" * 5000, "1.e999"])
def test_numbers_beyond_all_measure_are_clipped(when: str) -> None:
    assert schedule(f"[a:b:{when}]", 10)[-1][0] == 10


def test_schedules_nested_deeper_than_anyone_writes_are_text() -> None:
    def nested(depth: int) -> str:
        return "[a:" * depth + "b" + ":1]" * depth

    assert schedule(nested(MAX_DEPTH), 2) == [(1, "a"), (2, "b")]
    assert len(schedule(nested(MAX_DEPTH + 1), 2)[0][1]) > len("a")
    assert schedule(nested(30_000), 2)[-1][0] == 2
