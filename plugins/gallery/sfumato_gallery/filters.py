"""Searches as conditions of SQL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, Select, and_, func, literal_column, not_, or_, select, true
from sqlalchemy import text as sql

from sfumato_gallery.query import Between, Contains, Is, Term, Words, day_range, parse
from sfumato_gallery.tables import FULL_TEXT, LORAS, PICTURES

Sort = Literal["newest", "oldest", "score", "name"]
Condition = ColumnElement[bool]


@dataclass(frozen=True)
class Filters:
    """Which pictures; what is left out does not matter.

    Attributes:
        q: As people type it, see `sfumato_gallery.query`.
        model, lora: Whole names.
        after, before: Days, months or years: from the first moment of one to the last of the other.
        folder: Pictures that lie there or below.
        trash: Those in the trash instead of all others.
    """

    q: str = ""
    model: str | None = None
    lora: str | None = None
    after: str | None = None
    before: str | None = None
    min_score: float | None = None
    favourite: bool | None = None
    folder: str | None = None
    job: str | None = None
    trash: bool = False
    missing: bool = False


def conditions(filters: Filters, *, full_text: bool, row_by_row: bool = False) -> Condition:
    """All of them joined.

    Args:
        full_text: Whether the database has the index of words.
        row_by_row: Whether rows are gone through in their order, and each looked up among those that hold
            the words, rather than all of these being fetched and sorted.

    Raises:
        BadInput: the search asks for something that cannot be.
    """
    terms = parse(filters.q)
    asked = {term.state for term in terms if isinstance(term, Is) and not term.excluded}
    trash = filters.trash or "trashed" in asked
    wanted: list[Condition] = [PICTURES.c.trashed.isnot(None) if trash else PICTURES.c.trashed.is_(None)]
    if not (trash or filters.missing or "missing" in asked):
        wanted.append(not_(PICTURES.c.missing))
    wanted += _parameters(filters)
    if full_text:
        if match := _match(terms):
            wanted.append(_holding(match, row_by_row))
        terms = tuple(term for term in terms if not isinstance(term, Words) or term.excluded)
    wanted += (_term(term, full_text) for term in terms)
    return and_(*wanted)


def holding_words(filters: Filters) -> Select[Any] | None:
    """The numbers of all rows that hold the words of a search, by the full-text index; None without words."""
    match = _match(parse(filters.q))
    return _matching(match) if match else None


def _parameters(filters: Filters) -> Iterator[Condition]:
    columns = PICTURES.c
    if filters.model is not None:
        yield columns.model == filters.model
    if filters.lora is not None:
        yield columns.number.in_(select(LORAS.c.picture).where(LORAS.c.name == filters.lora))
    if filters.after:
        yield columns.created >= day_range(filters.after)[0]
    if filters.before:
        yield columns.created <= day_range(filters.before)[1]
    if filters.min_score is not None:
        yield columns.score >= filters.min_score
    if filters.favourite is not None:
        yield columns.favourite == filters.favourite
    if filters.folder:
        yield in_folder(filters.folder)
    if filters.job:
        yield columns.job == filters.job


def in_folder(folder: str) -> Condition:
    """Pictures that lie there or below."""
    column, folder = PICTURES.c.folder, folder.rstrip("/\\")
    return or_(column == folder, *(column.startswith(folder + mark, autoescape=True) for mark in "/\\"))


def _term(term: Term, full_text: bool) -> Condition:
    if isinstance(term, Words):
        condition = _words(term, full_text)
    elif isinstance(term, Contains):
        condition = _contains(term)
    elif isinstance(term, Between):
        condition = _between(term)
    else:
        condition = _state(term)
    return not_(func.coalesce(condition, False)) if term.excluded else condition


def _state(term: Is) -> Condition:
    if term.state == "favourite":
        return PICTURES.c.favourite.is_(True)
    return PICTURES.c.missing.is_(True) if term.state == "missing" else PICTURES.c.trashed.isnot(None)


def _between(term: Between) -> Condition:
    column = PICTURES.c[term.key]
    ends: list[Condition] = []
    if term.low is not None:
        ends.append(column > term.low if term.open else column >= term.low)
    if term.high is not None:
        ends.append(column < term.high if term.open else column <= term.high)
    return and_(true(), *ends)


def _contains(term: Contains) -> Condition:
    if term.key == "lora":
        lora = LORAS.c.name.icontains(term.value, autoescape=True)
        return PICTURES.c.number.in_(select(LORAS.c.picture).where(lora))
    column: ColumnElement[str] = PICTURES.c[term.key]
    return column == term.value if term.key == "job" else column.icontains(term.value, autoescape=True)


def _words(term: Words, full_text: bool) -> Condition:
    """Words hold letters and digits alone: nothing in them means anything to LIKE or MATCH."""
    if full_text:
        return _holding(_phrase(term))
    return PICTURES.c.words.like(f"% {' '.join(term.words)}%")


def _match(terms: Sequence[Term]) -> str:
    """All words that must be there as one question to the full-text index, quicker than one for each."""
    return " ".join(_phrase(term) for term in terms if isinstance(term, Words) and not term.excluded)


def _phrase(term: Words) -> str:
    return f'"{" ".join(term.words)}"*'


def _holding(match: str, row_by_row: bool = False) -> Condition:
    number = PICTURES.c.number + 0 if row_by_row else PICTURES.c.number  # a sum is looked up in no index
    return number.in_(_matching(match))


def _matching(match: str) -> Select[Any]:
    found: Select[Any] = select(literal_column("rowid")).select_from(sql(FULL_TEXT))
    return found.where(literal_column(FULL_TEXT).op("MATCH")(match))
