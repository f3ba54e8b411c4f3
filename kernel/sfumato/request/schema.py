"""What all schemas of requests share."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from sfumato.errors import BadInput, UnknownName


class Schema(BaseModel):
    """Frozen, and strict about names: a misspelt field is an error, not nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


AnyModel = TypeVar("AnyModel", bound=BaseModel)


def group(name: str, **shown: Any) -> dict[str, Any]:
    """Where and how a form or a help page shows the field.

    Args:
        shown: ``choices``: a registry or folder whose names it takes ("samplers", "models", "loras");
            ``advanced``: left out of simple forms; ``unit``: what a number counts; ``step``: of a number;
            ``lines``: of a text; ``picture``: its path is one of a picture.
    """
    return {"group": name, **shown}


def shown(**how: Any) -> dict[str, Any]:
    """How a form shows a field of a section, which is a group by itself; see `group`."""
    return how


def load_model(target: str) -> type[BaseModel]:
    """The pydantic model behind text such as ``"sfumato.request:GenerationRequest"``."""
    module, _, name = target.partition(":")
    model: type[BaseModel] = getattr(importlib.import_module(module), name)
    return model


def checked(
    schema: type[AnyModel],
    values: Mapping[str, Any],
    what: str = "The request cannot be carried out.",
    hint: str = "",
) -> AnyModel:
    """A request with these fields.

    Args:
        what: What is told where it cannot be, and `hint` what to do then.

    Raises:
        BadInput: a field is unknown, or some are out of range; all of these are named.
    """
    for name in values:
        if name not in schema.model_fields:
            raise UnknownName("request field", name, schema.model_fields)
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        problems = "; ".join(map(in_words, error.errors()))
        raise BadInput(what, why=f"{problems}.", hint=hint) from error


def in_words(problem: Mapping[str, Any]) -> str:
    """One of pydantic's errors: which field, why not, and what it was given where that is short."""
    where, given = ".".join(map(str, problem["loc"])), problem["input"]
    if problem["type"] == "extra_forbidden":
        return f"{where}: there is no such field"
    reason = problem["msg"].removeprefix("Value error, ")
    got = f" (got {given!r:.60})" if isinstance(given, (str, int, float)) else ""
    return ": ".join(filter(None, (where, reason[:1].lower() + reason[1:]))) + got
