"""The A1111 text: its grammar, written and read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfumato_pictures import infotext

from ..infotexts import (
    BEETLE,
    DOOR,
    FOX,
    LIGHTHOUSE,
    OLD,
    ONLY_NEGATIVE,
    PLUMS,
    ROBOT,
    SAILOR,
    STREET,
)


@pytest.mark.parametrize(
    "text", [LIGHTHOUSE, SAILOR, FOX, STREET, PLUMS, DOOR, ROBOT, OLD, BEETLE, ONLY_NEGATIVE]
)
def test_what_was_read_is_written_as_it_was(text: str) -> None:
    read = infotext.read(text)
    assert infotext.write(read.prompt, read.negative_prompt, read.fields) == text


def test_a_last_line_with_two_fields_is_prompt() -> None:
    assert infotext.read("a sign\nReads: open, Below: closed").prompt == "a sign\nReads: open, Below: closed"


def test_numbers_are_written_as_python_prints_them_and_open_fields_left_out() -> None:
    fields = {"Steps": 20, "CFG scale": 7.0, "Model hash": None, "Tiling": True, "Eta": 0.67}
    assert infotext.write("x", "", fields) == "x\nSteps: 20, CFG scale: 7.0, Tiling: True, Eta: 0.67"


def test_keys_come_in_the_usual_order_and_unknown_ones_before_the_version() -> None:
    fields = {"Version": "1", "Hires steps": 3, "Seed": 1, "Steps": 2, "User": "me"}
    assert infotext.write("", "", fields) == "Steps: 2, Seed: 1, Hires steps: 3, Version: 1, User: me"


def test_a_value_equal_to_its_key_stands_bare() -> None:
    assert infotext.write("", "", {"NGMS": "NGMS"}) == "NGMS"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("plain text", "plain text"),
        ("a, b", '"a, b"'),
        ("a: b", '"a: b"'),
        ("two\nlines", '"two\\nlines"'),
        ('say "x", \\', '"say \\"x\\", \\\\"'),
        ("Käfer, 低", '"Käfer, 低"'),
        ('only "quotes"', 'only "quotes"'),
        ('"x"', '"\\"x\\""'),
    ],
)
def test_values_are_quoted_only_where_they_must_be(value: str, written: str) -> None:
    assert infotext.quoted(value) == written


PRINTABLE = st.characters(blacklist_categories=("Cs", "Cc", "Zl", "Zp"), blacklist_characters="\x85")
KEYS = ("Sampler", "Model", "Lora hashes")
VALUES = st.text(PRINTABLE | st.sampled_from(',:\n\\"'), min_size=1).filter(
    lambda value: value == value.strip() and value not in KEYS  # a bare key stands for itself
)
PROMPTS = st.text(PRINTABLE).map(str.strip).filter(lambda text: not text.startswith("Negative prompt:"))


@given(PROMPTS, PROMPTS, st.tuples(VALUES, VALUES, VALUES))
def test_prompts_and_values_survive_writing_and_reading(
    prompt: str, negative: str, values: tuple[str, ...]
) -> None:
    fields = {"Steps": "20", **dict(zip(KEYS, values, strict=True))}
    read = infotext.read(infotext.write(prompt, negative, fields))
    assert (read.prompt, read.negative_prompt, read.fields) == (prompt, negative, fields)


@pytest.mark.parametrize("piece", ["a", " ", "-", "a ", "\t", "\ta"])
def test_a_stranger_does_not_hold_up_reading_with_a_line_that_is_no_fields(piece: str) -> None:
    text = f"x{piece * 200_000}x"
    assert infotext.read(text).prompt == text


@pytest.mark.parametrize("piece", ["ab: [1,", 'ab: ["x, ', 'ab: {"a": 1, '])
def test_a_stranger_does_not_hold_up_reading_with_broken_json(piece: str) -> None:
    assert infotext.read(f"x\n{piece * 100_000}").prompt == "x"


@given(st.text())
def test_any_text_can_be_read(text: str) -> None:
    infotext.read(text)
