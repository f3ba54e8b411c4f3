"""Errors as programs read them: problem documents of RFC 9457."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from sfumato.errors import BadInput, Cancelled, SfumatoError

if TYPE_CHECKING:
    from flask import Response

MEDIA_TYPE = "application/problem+json"


def problem(status: int, title: str = "", detail: str = "", hint: str = "", **more: Any) -> Response:
    """A problem document.

    Args:
        title: What happened; by default the status in words.
        detail: Why.
        hint: What to do next.
        more: Further members, such as `errors`.
    """
    from flask import Response

    document = {"type": "about:blank", "title": title or HTTPStatus(status).phrase, "status": status}
    document.update({key: value for key, value in {"detail": detail, "hint": hint, **more}.items() if value})
    return Response(json.dumps(document), status, mimetype=MEDIA_TYPE)


def status_of(error: SfumatoError) -> int:
    """The HTTP status of an error for people."""
    if isinstance(error, Cancelled):
        return HTTPStatus.CONFLICT
    if isinstance(error, BadInput):
        return HTTPStatus.UNPROCESSABLE_ENTITY
    return HTTPStatus.INTERNAL_SERVER_ERROR


def problem_of(error: SfumatoError) -> Response:
    return problem(status_of(error), error.what, error.why, error.hint)
