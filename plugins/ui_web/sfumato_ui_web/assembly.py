"""Puts what plugins bring into the application; one that fails becomes a page that says so."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flask import Blueprint, render_template

from sfumato.errors import PluginError, SfumatoError
from sfumato_ui_web.problems import problem_of

if TYPE_CHECKING:
    from flask import Flask, Request
    from werkzeug.wrappers import Response

    from sfumato.registry import Entry
    from sfumato.studio import Studio

_log = logging.getLogger(__name__)


@dataclass
class Served:
    """Which blueprints are for programs, and which of them take HTTP Basic."""

    addresses: tuple[str, ...] = ("/api",)
    basic_addresses: tuple[str, ...] = ()
    blueprints: set[str] = field(default_factory=set)
    basic_blueprints: set[str] = field(default_factory=set)

    def add(self, blueprint: str, address: str, *, basic: bool) -> None:
        self.blueprints.add(blueprint)
        self.basic_blueprints.update({blueprint} if basic else ())
        if address:  # the root says nothing of what is below it
            self.addresses += (address,)
            self.basic_addresses += (address,) if basic else ()

    def is_for_programs(self, request: Request) -> bool:
        return bool(self.blueprints & set(request.blueprints)) or _below(request.path, self.addresses)

    def takes_basic(self, request: Request) -> bool:
        found = bool(self.basic_blueprints & set(request.blueprints))
        return found or _below(request.path, self.basic_addresses)

    def is_page(self, path: str) -> bool:
        return not _below(path, self.addresses)


def _below(path: str, addresses: tuple[str, ...]) -> bool:
    return any(path == address or path.startswith(f"{address}/") for address in addresses)


def register_all(app: Flask, studio: Studio) -> None:
    """Build every page, panel and set of routes, and serve it at its address."""
    for page in studio.registries.pages:
        _register(app, studio, page, f"/{page.info.name}", "page")
    for panel in studio.registries.panels:
        _register(app, studio, panel, f"/panels/{panel.info.name}", "panel")
    for routes in studio.registries.routes:
        _register(app, studio, routes, routes.info.address.rstrip("/"), "routes")


def _register(app: Flask, studio: Studio, entry: Entry[Any], address: str, place: str) -> None:
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
        served.add(blueprint.name, address, basic=entry.info.basic)
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
        return render_template("sfumato/error.html", title=entry.info.label, error=error), 500

    return blueprint
