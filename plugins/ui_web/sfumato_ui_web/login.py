"""The page to log in, and the way out."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from flask import g, redirect, render_template, request

from sfumato_ui_web.security.accounts import cookie_name
from sfumato_ui_web.security.guard import Refused
from sfumato_ui_web.security.user_store import SESSION_DAYS

if TYPE_CHECKING:
    from flask import Flask
    from werkzeug.wrappers import Response

    from sfumato_ui_web.security.accounts import Accounts


def set_up(app: Flask, accounts: Accounts) -> None:
    """Add /login and /logout."""

    @app.get("/login")
    def login() -> str | Response:
        if g.user or not accounts.are_needed():
            return redirect(_own_address(request.args.get("next", "")))
        return _form()

    @app.post("/login")
    def log_in() -> Response | tuple[str, int, dict[str, str]]:
        user = request.form.get("user", "").strip()
        try:
            identifier = accounts.log_in(user, request.form.get("password", ""), request.remote_addr or "")
        except Refused as refused:
            headers = {"Retry-After": str(refused.retry_after)} if refused.retry_after else {}
            return _form(user, refused), refused.status, headers
        answer = redirect(_own_address(request.form.get("next", "")), 303)
        answer.set_cookie(
            cookie_name(request.environ),
            identifier,
            max_age=SESSION_DAYS * 86400,
            secure=request.is_secure,
            httponly=True,
            samesite="Strict",
        )
        return answer

    @app.post("/logout")
    def log_out() -> Response:
        if not hmac.compare_digest(request.form.get("csrf_token", "").encode(), g.csrf_token.encode()):
            from flask import abort

            abort(403)
        accounts.log_out(request.environ)
        answer = redirect("/login", 303)
        answer.delete_cookie(cookie_name(request.environ), httponly=True, samesite="Strict")
        return answer


def _form(user: str = "", refused: Refused | None = None) -> str:
    where = request.values.get("next", "")
    return render_template("sfumato/login.html", asked=user, refused=refused, next=_own_address(where))


def _own_address(where: str) -> str:
    """A path of ours; whatever would lead elsewhere leads to the first page."""
    if not where.startswith("/") or where.startswith(("//", "/\\", "/login", "/logout")):
        return "/"
    return where if where.isprintable() and "\\" not in where else "/"
