"""What goes wrong: a problem document for programs, a page for people, a traceback for the log alone."""

from __future__ import annotations

import logging
import secrets
from typing import TYPE_CHECKING

from flask import current_app, g, redirect, render_template, request
from werkzeug.exceptions import HTTPException

from sfumato.errors import SfumatoError, UnknownName
from sfumato_ui_web.i18n import translated
from sfumato_ui_web.problems import problem, problem_of, status_of

if TYPE_CHECKING:
    from flask import Flask
    from werkzeug.wrappers import Response

    from sfumato_ui_web.assembly import Served
    from sfumato_ui_web.security.guard import Refused

_log = logging.getLogger(__name__)


def set_up(app: Flask) -> None:
    """Answer every error; blueprints may bring handlers of their own, which come first."""

    @app.errorhandler(SfumatoError)
    def for_people(error: SfumatoError) -> Response | tuple[str, int]:
        if _is_for_programs():
            return problem_of(error)
        return _page(error, 404 if isinstance(error, UnknownName) else status_of(error))

    @app.errorhandler(HTTPException)
    def of_http(error: HTTPException) -> Response | tuple[str, int]:
        status = error.code or 500
        if status < 400:
            return error.get_response()
        answer: Response | tuple[str, int]
        if _is_for_programs():
            answer = problem(status, error.name, error.description or "")
            for name, value in error.get_headers():
                if name in ("Allow", "Retry-After"):
                    answer.headers[name] = value
            return answer
        if status == 404:
            return _page(SfumatoError("There is no such page."), status)
        return _page(SfumatoError(error.name, why=error.description or ""), status)

    @app.errorhandler(Exception)
    def unforeseen(error: Exception) -> Response | tuple[str, int]:
        reference = secrets.token_hex(4)
        _log.error("Error %s at %s %r", reference, request.method, request.path, exc_info=error)
        told = SfumatoError(
            "Something went wrong that nobody foresaw.",
            why="This is a bug in Sfumato or in a plugin.",
            hint=f"The log tells more, under the number {reference}.",
        )
        if _is_for_programs():
            return problem(500, told.what, told.why, told.hint, reference=reference)
        return _page(told, 500)


def refusal(refused: Refused) -> Response:
    """The answer to who is not let in: people who are to log in are led there."""
    if refused.status == 401 and not _is_for_programs() and request.method == "GET":
        where = request.full_path.rstrip("?")
        return redirect(f"/login?{_query(where)}")
    if refused.status == 401 or _is_for_programs() or request.method != "GET":
        answer = problem(refused.status, refused.title, hint=refused.hint)
    else:
        from flask import make_response

        answer = make_response(
            render_template(
                "sfumato/refused.html", title=translated(refused.title), hint=translated(refused.hint)
            ),
            refused.status,
        )
    if refused.retry_after:
        answer.headers["Retry-After"] = str(refused.retry_after)
    if refused.status == 401:
        scheme = "Basic" if refused.challenge else "Bearer"
        answer.headers["WWW-Authenticate"] = f'{scheme} realm="Sfumato"'
    return answer


def _query(where: str) -> str:
    from urllib.parse import urlencode

    return urlencode({"next": where})


def _is_for_programs() -> bool:
    served: Served = current_app.extensions["sfumato.served"]
    return served.is_for_programs(request)


def _page(error: SfumatoError, status: int) -> tuple[str, int]:
    template = "sfumato/error.html" if g.get("user") else "sfumato/refused.html"
    told = SfumatoError(translated(error.what), why=translated(error.why), hint=translated(error.hint))
    return render_template(template, title=told.what, hint=told.hint, error=told), status
