"""The values of an axis as AUTOMATIC1111 writes them: comma lists with quotes, and ranges of numbers.

    10, 20, 30          a list; a value with a comma stands in quotes: "red, big", blue
    1-5                 1, 2, 3, 4, 5; downwards where the second number is smaller
    1-5 (+2)            1, 3, 5; 10-5 (-3) is 10, 7
    1-10 [5]            five numbers from 1 to 10; whole ones where the field takes no others

A range never goes beyond its end.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from io import StringIO
from itertools import chain

MOST_VALUES = 10_000
"""Of one range: more is a slip of the finger."""

_NUMBER = r"([+-]?\s*\d{1,15}(?:\.\d{0,12})?)"
_RANGE = re.compile(rf"{_NUMBER}\s*-\s*{_NUMBER}(?:\s*\(\s*{_NUMBER}\s*\)|\s*\[\s*(\d+)\s*\])?")


def split_values(text: str) -> list[str]:
    """The values of a comma list, without the white space around them.

    Raises:
        ValueError: a quote does not end.
    """
    try:
        rows = list(csv.reader(StringIO(text, newline=""), skipinitialspace=True, strict=True))
    except csv.Error as error:
        raise ValueError(f"'{text}' is no list of values: {error}") from error
    return [value.strip() for value in chain.from_iterable(rows)]


def joined_values(values: Iterable[str]) -> str:
    """The inverse of `split_values`."""
    line = StringIO()
    csv.writer(line, lineterminator="").writerow(values)
    return line.getvalue().strip()


def expanded(values: Sequence[str], *, whole: bool) -> list[str]:
    """The numbers that a list with ranges stands for, as texts; empty values are left out.

    What is neither a number nor a range stays, for whoever checks it.

    Args:
        whole: Whether the numbers are whole ones.

    Raises:
        ValueError: a range without an end, or with too many values.
    """
    return [number for value in values if value.strip() for number in _of_one(value.strip(), whole)]


def _of_one(value: str, whole: bool) -> list[str]:
    found = _RANGE.fullmatch(value)
    if not found or (whole and "." in value):
        return [value]
    start, end = _number(found[1]), _number(found[2])
    if found[4] is not None:
        numbers = _spread(start, end, int(found[4]), value)
    else:
        step = _number(found[3]) if found[3] else Decimal(1 if end >= start else -1)
        numbers = _stepped(start, end, step, value)
    if whole:
        numbers = list(dict.fromkeys(Decimal(int(number)) for number in numbers))
    return [_written(number) for number in numbers]


def _stepped(start: Decimal, end: Decimal, step: Decimal, value: str) -> list[Decimal]:
    if step == 0 or (end - start) * step < 0:
        raise ValueError(f"'{value}' never comes to its end: the step goes the other way")
    count = int((end - start) / step) + 1
    _check_count(count, value)
    return [start + number * step for number in range(count)]


def _spread(start: Decimal, end: Decimal, count: int, value: str) -> list[Decimal]:
    _check_count(count, value)
    if count == 1:
        return [start]
    return [start + (end - start) * number / (count - 1) for number in range(count)]


def _check_count(count: int, value: str) -> None:
    if not 1 <= count <= MOST_VALUES:
        raise ValueError(f"'{value}' has {count} values; from 1 to {MOST_VALUES} can be")


def _number(text: str) -> Decimal:
    return Decimal(re.sub(r"\s", "", text))


def _written(number: Decimal) -> str:
    """With up to eight decimals, as A1111 shows them."""
    text = f"{number:.8f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
