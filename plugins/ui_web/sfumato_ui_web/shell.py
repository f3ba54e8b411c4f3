"""What is around every page: navigation, panels, and what scripts need to know."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from flask import current_app, g, request
from flask_babel import gettext
from markupsafe import Markup

from sfumato_ui_web.i18n import translated

if TYPE_CHECKING:
    from flask import Flask

    from sfumato.pages import PageInfo
    from sfumato.studio import Studio

_log = logging.getLogger(__name__)

PHONE_ENTRIES = 4
"""How many pages the bar of a phone shows; the others are under "More"."""


def navigation(studio: Studio) -> list[PageInfo]:
    """Pages as they are listed."""
    shown = [entry.info for entry in studio.registries.pages if entry.info.in_navigation]
    return sorted(shown, key=lambda info: (info.order, info.label))


def first_page(studio: Studio) -> str:
    """The address of the page that one comes to."""
    pages = navigation(studio)
    return f"/{pages[0].name}/" if pages else "/login"


def set_up(app: Flask, studio: Studio) -> None:
    """Give templates what the shell shows."""

    @app.context_processor
    def values() -> dict[str, Any]:
        return {
            "navigation": navigation(studio),
            "phone_entries": PHONE_ENTRIES,
            "current_page": request.path.split("/")[1] if request.path.count("/") > 1 else "",
            "csrf_token": g.get("csrf_token", ""),
            "user": g.get("user", ""),
            "panels": lambda page: panels(studio, page),
        }


def panels(studio: Studio, page: str) -> Markup:
    """What plugins put on a page, in order; one that fails says so in its place."""
    known: dict[str, str] = current_app.extensions.get("sfumato.panels", {})
    entries = [entry.info for entry in studio.registries.panels if entry.info.page == page]
    shown = sorted(entries, key=lambda info: (info.order, info.label))
    return Markup("").join(_panel(info.name, info.label, known.get(info.name)) for info in shown)


def _panel(name: str, label: str, endpoint: str | None) -> Markup:
    frame = Markup(
        '<section class="card stack panel" aria-labelledby="panel-{0}"><h2 id="panel-{0}">{1}</h2>{2}'
    )
    try:
        if endpoint is None:
            raise LookupError(f"the panel {name} was not built")
        inside = Markup(current_app.ensure_sync(current_app.view_functions[endpoint])())
    except Exception as error:  # a plugin's code
        _log.warning("The panel %s cannot be shown: %s", name, error)
        inside = Markup('<p class="notice warn">{}</p>').format(gettext("This panel cannot be shown."))
    return frame.format(name, translated(label), inside) + Markup("</section>")
