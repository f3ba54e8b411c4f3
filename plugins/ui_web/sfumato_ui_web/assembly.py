"""Puts what plugins bring into the application; one that fails becomes a page that says so."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Flask, render_template, url_for

from sfumato.errors import PluginError, SfumatoError
from sfumato_ui_web.i18n import translated
from sfumato_ui_web.problems import problem_of
from sfumato_ui_web.rules import LazyRule

if TYPE_CHECKING:
    from flask import Request
    from werkzeug.wrappers import Response

    from sfumato.registry import Entry
    from sfumato.studio import Studio

OWN_PARTS = ("", "login", "logout", "panels", "static", "static-i18n", "favicon.ico")
"""What the addresses of the shell itself begin with."""
Application = Callable[..., Iterable[bytes]]
_log = logging.getLogger(__name__)


@dataclass
class Served:
    """Which blueprints are for programs, and which of them take HTTP Basic."""

    addresses: tuple[str, ...] = ("/api",)
    basic_addresses: tuple[str, ...] = ()
    blueprints: set[str] = field(default_factory=set)
    basic_blueprints: set[str] = field(default_factory=set)
    first_parts: set[str] = field(default_factory=lambda: set(OWN_PARTS))

    def add_blueprint(self, blueprint: str, *, basic: bool) -> None:
        self.blueprints.add(blueprint)
        self.basic_blueprints.update({blueprint} if basic else ())

    def add_address(self, address: str, *, basic: bool) -> None:
        if address:  # the root says nothing of what is below it
            self.addresses += (address,)
            self.basic_addresses += (address,) if basic else ()

    def is_for_programs(self, request: Request) -> bool:
        return bool(self.blueprints & set(request.blueprints)) or _below(request.path, self.addresses)

    def takes_basic(self, request: Request) -> bool:
        found = bool(self.basic_blueprints & set(request.blueprints))
        return found or _below(request.path, self.basic_addresses)

    def is_there_at_once(self, path: str) -> bool:
        """Whether a path is a page or a file, so that no routes for programs can answer it."""
        return self.is_page(path) and ([*path.split("/"), ""])[1] in self.first_parts

    def is_page(self, path: str) -> bool:
        return not _below(path, self.addresses)


def _below(path: str, addresses: tuple[str, ...]) -> bool:
    return any(path == address or path.startswith(f"{address}/") for address in addresses)


class StudioApp(Flask):
    """Flask, to which routes may be added after the first request.

    Flask refuses that, because hooks that come late would miss requests; routes for programs bring none, and
    are built before the first request to any of them (see `LateRoutes`).
    """

    url_rule_class = LazyRule
    adding_late = False

    def _check_setup_finished(self, f_name: str) -> None:
        if not self.adding_late:
            super()._check_setup_finished(f_name)


class LateRoutes:
    """Routes for programs, built when one of them is first asked for: the first page need not wait for them.

    Args:
        entries: What is still to be built.
    """

    def __init__(self, app: StudioApp, studio: Studio, entries: list[Entry[Any]]) -> None:
        self._app = app
        self._studio = studio
        self._entries = entries
        self._lock = threading.Lock()

    def build(self) -> None:
        """Build all that are left; others wait meanwhile."""
        if not self._entries:
            return
        with self._lock:
            self._app.adding_late = True
            try:
                while self._entries:
                    _register_routes(self._app, self._studio, self._entries[0])
                    del self._entries[0]
            finally:
                self._app.adding_late = False

    def before(self, application: Application) -> Application:
        """The WSGI application that builds them in time."""
        served: Served = self._app.extensions["sfumato.served"]

        def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
            if self._entries and not served.is_there_at_once(environ.get("PATH_INFO", "")):
                self.build()
            return application(environ, start_response)

        return answer

    def find_address(self, error: Exception, endpoint: str, values: dict[str, Any]) -> str:
        """What Flask calls when there is no such endpoint to link to: it may be one of these."""
        if not self._entries:
            raise error
        self.build()
        return url_for(endpoint, **values)


def register_all(app: StudioApp, studio: Studio, *, late: bool = False) -> LateRoutes:
    """Build every page, panel and set of routes, and serve it at its address.

    Args:
        late: Leave routes for programs until they are asked for.
    """
    served: Served = app.extensions["sfumato.served"]
    served.first_parts.update(entry.info.name for entry in studio.registries.pages)
    for page in studio.registries.pages:
        _register(app, studio, page, f"/{page.info.name}", "page")
    for panel in studio.registries.panels:
        _register(app, studio, panel, f"/panels/{panel.info.name}", "panel")
    routes = list(studio.registries.routes)
    for entry in routes:
        served.add_address(entry.info.address.rstrip("/"), basic=entry.info.basic)
    left = LateRoutes(app, studio, routes if late else [])
    if not late:
        for entry in routes:
            _register_routes(app, studio, entry)
    app.url_build_error_handlers.append(left.find_address)
    return left


def _register_routes(app: StudioApp, studio: Studio, entry: Entry[Any]) -> None:
    _register(app, studio, entry, entry.info.address.rstrip("/"), "routes")


def _register(app: StudioApp, studio: Studio, entry: Entry[Any], address: str, place: str) -> None:
    try:
        with entry.answerable("be built"):
            blueprint = entry.load()(studio)
            if not isinstance(blueprint, Blueprint):
                raise TypeError(f"it builds a {type(blueprint).__name__} and no Blueprint")
            app.register_blueprint(blueprint, url_prefix=address)
    except (SfumatoError, OSError) as error:
        told = error if isinstance(error, SfumatoError) else _of_the_system(entry, error)
        _log.warning("%s", told)
        if address:
            app.register_blueprint(_stand_in(entry, told, place), url_prefix=address)
        return
    if place == "routes":
        served: Served = app.extensions["sfumato.served"]
        served.add_blueprint(blueprint.name, basic=entry.info.basic)
    if place == "panel":
        panels: dict[str, str] = app.extensions.setdefault("sfumato.panels", {})
        panels[entry.info.name] = f"{blueprint.name}.fragment"


def _of_the_system(entry: Entry[Any], error: OSError) -> PluginError:
    return PluginError(
        f"'{entry.info.name}' from plugin '{entry.plugin}' cannot be built.",
        why=f"{error}.",
        hint=f"Tell the plugin's author, or switch it off: sfumato plugins disable {entry.plugin}",
    )


def _stand_in(entry: Entry[Any], error: SfumatoError, place: str) -> Blueprint:
    """What answers in its place."""
    blueprint = Blueprint(f"broken_{place}_{entry.info.name}", __name__)
    every_method = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]

    @blueprint.route("/", defaults={"path": ""}, methods=every_method)
    @blueprint.route("/<path:path>", methods=every_method)
    def tell(path: str) -> Response | tuple[str, int]:
        if place == "routes":
            return problem_of(error)
        return render_template("sfumato/error.html", title=translated(entry.info.label), error=error), 500

    return blueprint
