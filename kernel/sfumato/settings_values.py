"""The values given for one section of settings: checked together, and the one to blame when they do not fit.

Together, because a rule of the section may join several fields: each value alone, beside the defaults of the
others, could break it.
"""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from sfumato.settings_sources import Given, parse_json
from sfumato.watchdog import in_one_line

NONE_WORDS = ("", "none", "null")

Values = Sequence[tuple[str, Given]]
"""Field names with what is given for them, lowest layer first; of several for one field the last holds."""


@dataclass(frozen=True)
class Refused:
    """A value that cannot be, and why."""

    name: str
    given: Given
    reason: str


@dataclass(frozen=True)
class Fitted:
    """A section, the values that made it, and those that could not be."""

    section: BaseModel
    used: Mapping[str, Given]
    refused: tuple[Refused, ...]


def fit(model: type[BaseModel], values: Values) -> Fitted:
    """The section that `values` make; one that cannot be gives way to the one before it, or the default.

    Raises:
        ValidationError: the defaults alone do not make a section; or whatever else they raise.
    """
    left = list(values)
    refused: list[Refused] = []
    while True:
        try:
            return Fitted(_checked(model, left), dict(left), tuple(refused))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a validator of a plugin may raise anything
            if not left:
                raise
            place, reason = _place_and_reason(error)
            name, given = left.pop(_culprit(model, left, place))
            refused.append(Refused(name, given, reason))


def _place_and_reason(error: BaseException) -> tuple[tuple[int | str, ...], str]:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        return first["loc"], first["msg"]
    return (), in_one_line(error)


def _culprit(model: type[BaseModel], values: Values, place: tuple[int | str, ...]) -> int:
    """The value at `place`, if any; else the latest without which the others fit; else the latest."""
    names = [name for name, _ in values]
    latest_first = range(len(values) - 1, -1, -1)
    for index in latest_first:
        if place and names[index] == place[0]:
            return index
    for index in latest_first:
        if _fits(model, [*values[:index], *values[index + 1 :]]):
            return index
    return len(values) - 1


def _fits(model: type[BaseModel], values: Values) -> bool:
    try:
        _checked(model, values)
    except KeyboardInterrupt:
        raise
    except BaseException:
        return False
    return True


def _checked(model: type[BaseModel], values: Values) -> BaseModel:
    """Raises `ValidationError` when the values do not fit, or what a plugin's validator raises."""
    return model.model_validate(
        {name: _parsed(model.model_fields[name], given.value) for name, given in dict(values).items()}
    )


def _parsed(field: FieldInfo, value: Any) -> Any:
    """Text as environment variables and options give it, made ready for pydantic: lists, JSON, and none."""
    if not isinstance(value, str):
        return value
    origins = {get_origin(kind) or kind for kind in _alternatives(field.annotation)}
    if type(None) in origins and value.strip().lower() in NONE_WORDS:
        return None
    if origins & {tuple, list, set, frozenset, dict}:
        if value.lstrip().startswith(("[", "{")):
            return parse_json(value)
        if dict not in origins:
            return [item.strip() for item in value.split(",") if item.strip()]
    return value


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    """The members of a union, or the type alone."""
    is_union = get_origin(annotation) in (Union, types.UnionType)
    return get_args(annotation) if is_union else (annotation,)
