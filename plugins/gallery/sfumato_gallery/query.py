"""What people type to search for pictures: ``red fox -blurry model:"flux dev" score:>5 is:favourite``.

Words must all be found, in prompts, model, LoRAs or file name; quotes hold a phrase together, a minus
excludes. A key with a colon asks for one property; any other word with a colon is text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from sfumato.errors import BadInput
from sfumato_gallery.words import words_of

TEXT_KEYS = ("model", "lora", "sampler", "name", "folder", "job")
NUMBER_KEYS = ("seed", "steps", "cfg", "width", "height", "score")
DATE_KEYS = ("before", "after", "date")
STATES = ("favourite", "missing", "trashed")

_TERM = re.compile(
    r"""
    (?P<minus> -? ) (?: (?P<key> [a-z]+ ) : )?
    (?: " (?P<phrase> [^"]* ) (?: " | $ ) | (?P<word> \S+ ) )
    """,
    re.VERBOSE | re.IGNORECASE,
)
_RANGE = re.compile(r"(-?[\d.]+)\.\.(-?[\d.]+)")
_COMPARED = re.compile(r"(>=|<=|>|<|=)?\s*(-?\d+(?:\.\d+)?)")
_SIZE = re.compile(r"(\d+)\s*[x\u00d7*]\s*(\d+)")
_LONGEST = 2000


@dataclass(frozen=True)
class Words:
    """Words in a row, the last one perhaps only begun."""

    words: tuple[str, ...]
    excluded: bool = False


@dataclass(frozen=True)
class Contains:
    """A part of one property's text; the case of ASCII letters does not matter."""

    key: str
    value: str
    excluded: bool = False


@dataclass(frozen=True)
class Between:
    """A number of one property, both ends included unless they are `open`."""

    key: str
    low: float | None = None
    high: float | None = None
    open: bool = False
    excluded: bool = False


@dataclass(frozen=True)
class Is:
    """A state: "favourite", "missing", "trashed"."""

    state: str
    excluded: bool = False


Term = Words | Contains | Between | Is


def parse(text: str) -> tuple[Term, ...]:
    """The terms, all of which must hold.

    Raises:
        BadInput: a property is asked for a value that it cannot have; the hint says how to write it.
    """
    if len(text) > _LONGEST:
        raise BadInput("The search is too long.", hint=f"{_LONGEST} characters are read.")
    terms: list[Term] = []
    for match in _TERM.finditer(text):
        terms += _terms(match)
    return tuple(terms)


def _terms(match: re.Match[str]) -> list[Term]:
    excluded, key = match["minus"] == "-", (match["key"] or "").lower()
    value = match["phrase"] if match["phrase"] is not None else match["word"] or ""
    if key in TEXT_KEYS:
        return [Contains(key, value, excluded)] if value else []
    if key in NUMBER_KEYS:
        return [_number(key, value, excluded)]
    if key in DATE_KEYS:
        return [_date(key, value, excluded)]
    if key == "size":
        return _size(value, excluded)
    if key == "is":
        return [_state(value, excluded)]
    return _text(f"{key} {value}", excluded)


def _text(value: str, excluded: bool) -> list[Term]:
    words = tuple(words_of(value))
    return [Words(words, excluded)] if words else []


def _number(key: str, value: str, excluded: bool) -> Between:
    if both := _RANGE.fullmatch(value):
        return Between(key, _float(both[1], value), _float(both[2], value), excluded=excluded)
    found = _COMPARED.fullmatch(value)
    if not found:
        raise _unusable(key, value, f"Write {key}:7, {key}:>5 or {key}:5..8.")
    sign, number = found[1] or "=", float(found[2])
    low = number if ">" in sign or sign == "=" else None
    high = number if "<" in sign or sign == "=" else None
    return Between(key, low, high, open=sign in ("<", ">"), excluded=excluded)


def _float(text: str, value: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise _unusable(
            "number", value, "Write two numbers with two dots between them, as in 5..8."
        ) from None


def _size(value: str, excluded: bool) -> list[Term]:
    sides = _SIZE.fullmatch(value)
    if not sides:
        raise _unusable("size", value, "Write size:1024x768.")
    return [Between(key, float(side), float(side), excluded=excluded)
            for key, side in zip(("width", "height"), sides.groups(), strict=True)]  # fmt: skip


def _date(key: str, value: str, excluded: bool) -> Between:
    start, end = day_range(value)
    if key == "before":
        return Between("created", None, start, open=True, excluded=excluded)
    if key == "after":
        return Between("created", start, None, excluded=excluded)
    return Between("created", start, end, excluded=excluded)


def day_range(value: str) -> tuple[float, float]:
    """First and last moment of a year, month or day in local time, as seconds since 1970.

    Raises `BadInput` for anything that is none of "2025", "2025-03", "2025-03-31", "today", "yesterday".
    """
    today = datetime.now().replace(hour=0, minute=0, second=0, microsecond=0)
    try:
        if value in ("today", "yesterday"):
            start = today - timedelta(days=value == "yesterday")
            end = start + timedelta(days=1)
        else:
            year, *rest = map(int, value.split("-"))
            start = datetime(year, rest[0] if rest else 1, rest[1] if len(rest) > 1 else 1)
            end = _after(start, len(rest))
        return start.timestamp(), end.timestamp() - 1e-6
    except (ValueError, OverflowError, OSError):
        raise _unusable("date", value, "Write 2025, 2025-03, 2025-03-31, today or yesterday.") from None


def _after(start: datetime, precision: int) -> datetime:
    if precision == 0:
        return start.replace(year=start.year + 1)
    if precision == 1:
        return (start.replace(day=28) + timedelta(days=4)).replace(day=1)
    if precision == 2:
        return start + timedelta(days=1)
    raise ValueError("more than a day")


def _state(value: str, excluded: bool) -> Is:
    state = "favourite" if value.lower() in ("favorite", "fav") else value.lower()
    if state not in STATES:
        raise _unusable("is", value, f"Write one of {', '.join(f'is:{name}' for name in STATES)}.")
    return Is(state, excluded)


def _unusable(key: str, value: str, hint: str) -> BadInput:
    return BadInput(f"The search has '{value}' for {key}, which it cannot be.", hint=hint)
