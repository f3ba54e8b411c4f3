"""The panel on the page Generate, and a route for programs."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, g, render_template

from sfumato.errors import BadInput
from sfumato.studio import Studio


def build_panel(studio: Studio) -> Blueprint:
    """The colours of the newest picture; the view named `fragment` gives what goes into the page."""
    panel = Blueprint("palette", __name__, template_folder="templates")

    @panel.get("/")
    def fragment() -> str:
        return render_template("palette/panel.html", colours=newest_colours(studio))

    return panel


def build_routes(studio: Studio) -> Blueprint:
    """`GET /palette/v1/newest`: the same as JSON."""
    routes = Blueprint("palette_routes", __name__)

    @routes.get("/newest")
    def newest() -> dict[str, Any]:
        return {"colours": newest_colours(studio)}

    return routes


def newest_colours(studio: Studio) -> list[str]:
    """Those of the picture that the user of this request made last; none where there is none any more."""
    for job in studio.jobs.list(user=g.get("user", "local"), limit=20):
        for image in reversed(job.images):
            try:
                return list(studio.ask("palette", picture=image.path).model_dump()["colours"])
            except BadInput:  # the file was deleted: the one before counts
                continue
    return []
