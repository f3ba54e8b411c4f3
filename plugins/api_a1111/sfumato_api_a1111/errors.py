"""Errors in the shapes of A1111, which clients show or read: ``{"detail": ...}``."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from werkzeug.exceptions import HTTPException

from sfumato.errors import BadInput, SfumatoError

if TYPE_CHECKING:
    from flask import Blueprint, Response

log = logging.getLogger(__name__)

_LONGEST_INPUT = 200


class Refusal(Exception):
    """An answer other than success; `detail` is a text, or a list of problems with fields.

    Args:
        more: Further members of the body.
    """

    def __init__(self, status: int, detail: str | list[dict[str, Any]], **more: Any) -> None:
        super().__init__(str(detail))
        self.status = status
        self.detail = detail
        self.more = more


def failure(detail: str, *, error: str = "HTTPException", errors: str = "") -> Refusal:
    """Status 500 as A1111 gives it for what it tells deliberately, and for whatever else goes wrong."""
    return Refusal(500, detail, error=error, body="", errors=errors or detail)


def json_response(body: Any, status: int = 200) -> Response:
    from flask import Response

    return Response(json.dumps(body), status, mimetype="application/json")


def add_to(blueprint: Blueprint) -> None:
    """Let the blueprint answer every error in A1111's shapes."""
    blueprint.register_error_handler(Refusal, _refused)
    blueprint.register_error_handler(SfumatoError, _explained)
    blueprint.register_error_handler(HTTPException, _of_http)
    blueprint.register_error_handler(Exception, _unexpected)


def _refused(error: Refusal) -> Response:
    return json_response({**error.more, "detail": error.detail}, error.status)


def _explained(error: SfumatoError) -> Response:
    if isinstance(error, BadInput):
        return json_response({"detail": str(error)}, 422)
    return _refused(failure(str(error), error=type(error).__name__))


def _of_http(error: HTTPException) -> Response:
    names = {404: "Not Found", 405: "Method Not Allowed", 413: "Request Entity Too Large"}
    status = error.code or 500
    return json_response({"detail": names.get(status, error.name)}, status)


def _unexpected(error: Exception) -> Response:
    log.error("A request of A1111's API failed", exc_info=error)
    return _refused(failure("", error=type(error).__name__, errors="See the server's log."))


def of_fields(problems: Sequence[Any]) -> Refusal:
    """Status 422 in FastAPI's shape, of pydantic's errors in a body."""
    return Refusal(422, [_of_field(problem) for problem in problems])


def _of_field(problem: Any) -> dict[str, Any]:
    found = {
        "type": problem["type"],
        "loc": ["body", *problem["loc"]],
        "msg": problem["msg"],
        "input": _shown(problem["input"]),
    }
    context = {key: value for key, value in problem.get("ctx", {}).items() if isinstance(value, (str, int))}
    return {**found, "ctx": context} if context else found


def _shown(value: Any) -> Any:
    """An input as JSON can hold it, and as is worth sending back: a picture is not."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, str):
        return value[:_LONGEST_INPUT]
    return value if isinstance(value, (int, float)) or value is None else f"{value!r:.{_LONGEST_INPUT}}"
