"""The web application of one studio: what plugins bring, the shell around pages, and the gate before all."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import Response, g, redirect, request
from werkzeug.wrappers import Response as BaseResponse

from sfumato_ui_web import assembly, errors, i18n, login, shell, static_files
from sfumato_ui_web.core import WebCore
from sfumato_ui_web.security.accounts import Accounts
from sfumato_ui_web.security.guard import Guard, Refused

if TYPE_CHECKING:
    from flask import Flask

    from sfumato.studio import Studio


def create_app(
    studio: Studio, *, host: str = "", accounts: Accounts | None = None, late_routes: bool = False
) -> Flask:
    """The application, with every page, panel and set of routes that plugins registered.

    Args:
        host: The address that the server is bound to; by default the one of the settings.
        accounts: Who may log in; by default the users in the studio's database.
        late_routes: Build routes for programs when they are first asked for; see `core.WebCore.finish`.
    """
    web = studio.settings.web
    app = assembly.StudioApp("sfumato_ui_web", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = web.upload_megabytes * 1024 * 1024
    app.config["MAX_FORM_MEMORY_SIZE"] = app.config["MAX_CONTENT_LENGTH"]
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    _keep_compiled_templates(app, studio)
    app.extensions["sfumato.served"] = served = assembly.Served()
    guard = Guard(
        accounts or Accounts(studio),
        host=host or web.host,
        trusted_hosts=web.trusted_hosts,
        cors_origins=web.cors_origins,
        is_page=served.is_page,
    )
    app.secret_key = guard.accounts.key
    app.extensions["sfumato"] = core = WebCore(studio, guard)
    _put_guard_before(app, core, served)
    i18n.set_up(app, studio)
    shell.set_up(app, studio)
    errors.set_up(app)
    login.set_up(app, guard.accounts)
    late = assembly.register_all(app, studio, late=late_routes)
    core.finish = late.build
    static_files.set_up(app)
    app.add_url_rule("/", "home", lambda: redirect(shell.first_page(studio)))
    app.wsgi_app = late.before(core.around(app.wsgi_app))  # type: ignore[method-assign]
    return app


def _keep_compiled_templates(app: Flask, studio: Studio) -> None:
    """From one start to the next: compiling those of the first page takes a tenth of a second."""
    from jinja2 import FileSystemBytecodeCache

    folder = Path(studio.settings.general.data_folder) / "cache" / "templates"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return
    app.jinja_env.bytecode_cache = FileSystemBytecodeCache(str(folder))


def _put_guard_before(app: Flask, core: WebCore, served: assembly.Served) -> None:
    @app.before_request
    def check() -> BaseResponse | None:
        """Let in who may come in; `flask.g.user` tells who it is."""
        g.user = g.csrf_token = ""
        if core.guard.is_preflight(request.environ):
            return Response(status=204)
        try:
            admitted = core.guard.admit(request.environ, basic=served.takes_basic(request))
        except Refused as refused:
            return errors.refusal(refused)
        g.user, g.csrf_token = admitted.user, admitted.csrf_token
        return None

    @app.after_request
    def protect(response: Any) -> Any:
        for name, value in core.guard.headers(request.environ, private=False):
            response.headers.setdefault(name, value)
        if "Cache-Control" not in response.headers:
            response.headers["Cache-Control"] = "no-store"
        if response.mimetype == "text/html" and response.status_code == 200:
            static_files.compress(response)
            core.first_page_shown.set()
        return response
