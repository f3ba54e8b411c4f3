"""Bodies of requests, read as leniently as A1111 reads them: fields that nobody knows do not matter."""

from __future__ import annotations

import json
from typing import Any, Self, TypeVar

from flask import request
from pydantic import BaseModel, ConfigDict, ValidationError

from sfumato_api_a1111.errors import Refusal, of_fields


class Fields(BaseModel):
    """Base of all bodies: texts of digits count as numbers, and null as the default where that is allowed."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        coerce_numbers_to_str=True,
        allow_inf_nan=False,
        protected_namespaces=(),
    )

    def filled(self) -> Self:
        """With the defaults in place of nulls."""
        fields = type(self).model_fields
        nulls = {
            name: fields[name].get_default(call_default_factory=True)
            for name in fields
            if getattr(self, name) is None
        }
        return self.model_copy(update=nulls)


Body = TypeVar("Body", bound=Fields)


def body_of(model: type[Body]) -> Body:
    """The body of the request that is being answered; raises `Refusal` with FastAPI's 422."""
    return checked(model, json_of(request.get_data()))


def checked(model: type[Body], values: Any) -> Body:
    """Raises `Refusal` with FastAPI's 422."""
    if not isinstance(values, dict):
        kind = "missing" if values is None else "model_attributes_type"
        message = "Field required" if values is None else "Input should be a valid dictionary or object"
        raise of_fields([{"type": kind, "loc": (), "msg": message, "input": values}])
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise of_fields(error.errors(include_url=False)) from error


def json_of(content: bytes) -> Any:
    """None for an empty body; raises `Refusal` for what is no JSON."""
    if not content.strip():
        return None
    try:
        return json.loads(content, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        position = getattr(error, "pos", 0)
        reason = getattr(error, "msg", str(error) or type(error).__name__)
        detail = {
            "type": "json_invalid",
            "loc": ["body", position],
            "msg": "JSON decode error",
            "input": {},
            "ctx": {"error": reason},
        }
        raise Refusal(422, [detail]) from error


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no JSON")
