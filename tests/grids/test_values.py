"""How the values of an axis are written: A1111's lists, quotes and ranges."""

from __future__ import annotations

import csv
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfumato_grids.values import MOST_VALUES, expanded, joined_values, split_values

TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12).map(str.strip)
WHOLE = st.integers(-300, 300)
TENTHS = st.integers(-300, 300).map(lambda n: Fraction(n, 10))


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("10, 20 ,30", ["10", "20", "30"]),
        ('"a cat, big", dog', ["a cat, big", "dog"]),
        ('say ""hi"", b', ['say ""hi""', "b"]),
        ('"say ""hi""", b', ['say "hi"', "b"]),
        ("a,,b", ["a", "", "b"]),
        ("", []),
        ("one\ntwo, three", ["one", "two", "three"]),
    ],
)
def test_lists_are_read_as_a1111_reads_them(text: str, values: list[str]) -> None:
    assert split_values(text) == values


@given(st.lists(TEXTS, min_size=1))
def test_a_list_that_is_written_is_read_again(values: list[str]) -> None:
    assert split_values(joined_values(values)) == (values if values != [""] else split_values('""'))


@given(st.text(max_size=40).filter(lambda text: '"' not in text and "\0" not in text))
def test_any_text_without_quotes_is_a_list(text: str) -> None:
    assert all(value == value.strip() for value in split_values(text))


def test_a_quote_without_an_end_is_told() -> None:
    with pytest.raises(ValueError, match="no list of values"):
        split_values('a, "b')


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("1-5", "1 2 3 4 5"),
        ("1-5 (+2)", "1 3 5"),
        ("1-6 (+2)", "1 3 5"),
        ("10-5 (-3)", "10 7"),
        ("10 - 8", "10 9 8"),
        ("-3--1", "-3 -2 -1"),
        ("1-10 [5]", "1 3 5 7 10"),
        ("1-3 [5]", "1 2 3"),
        ("7", "7"),
        ("-1", "-1"),
        ("1.5-3", "1.5-3"),
    ],
)
def test_ranges_of_whole_numbers(text: str, numbers: str) -> None:
    assert expanded([text], whole=True) == numbers.split(" ")


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("0.1-0.5 (+0.1)", "0.1 0.2 0.3 0.4 0.5"),
        ("1-2 (+0.3)", "1 1.3 1.6 1.9"),
        ("1-3 [5]", "1 1.5 2 2.5 3"),
        ("0-1 [4]", "0 0.33333333 0.66666667 1"),
        ("1-2 [1]", "1"),
        ("1e-3", "1e-3"),
    ],
)
def test_ranges_of_fractions(text: str, numbers: str) -> None:
    assert expanded([text], whole=False) == numbers.split(" ")


@given(WHOLE, WHOLE, st.integers(1, 50))
def test_whole_ranges_are_pythons(start: int, end: int, step: int) -> None:
    signed, past = (step, end + 1) if end >= start else (-step, end - 1)
    oracle = [str(number) for number in range(start, past, signed)]
    assert expanded([f"{start}-{end} ({signed:+})"], whole=True) == oracle


@given(WHOLE, WHOLE, st.integers(1, 40))
def test_a_count_spreads_numbers_as_numpy_does(start: int, end: int, count: int) -> None:
    numbers = [float(text) for text in expanded([f"{start}-{end} [{count}]"], whole=False)]
    assert numbers == pytest.approx(np.linspace(start, end, count).tolist(), abs=1e-8)


@given(TENTHS, TENTHS, st.integers(1, 30).map(lambda n: Fraction(n, 10)))
def test_fractions_are_exact_and_never_beyond_the_end(start: Fraction, end: Fraction, step: Fraction) -> None:
    signed = step if end >= start else -step
    texts = expanded([f"{float(start)}-{float(end)} ({float(signed):+})"], whole=False)
    numbers = [Fraction(text) for text in texts]
    assert numbers == [start + signed * place for place in range(len(numbers))]
    left = (end - numbers[-1]) / signed
    assert 0 <= left < 1


@pytest.mark.parametrize(
    "text", ["1-5 (-1)", "5-1 (+1)", "1-5 (+0)", f"1-{MOST_VALUES + 1}", "1-5 [0]", "1-5 [99999]"]
)
def test_a_range_without_an_end_or_with_too_many_values_is_told(text: str) -> None:
    with pytest.raises(ValueError, match=r"never comes to its end|values; from 1"):
        expanded([text], whole=True)


def test_empty_values_are_no_numbers() -> None:
    assert expanded(["1", "", " ", "3"], whole=True) == ["1", "3"]


def test_what_is_written_is_plain_csv() -> None:
    assert next(csv.reader([joined_values(["a, b", 'c"d', ""])])) == ["a, b", 'c"d', ""]
