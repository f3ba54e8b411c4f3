"""The page "Gallery"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, render_template

if TYPE_CHECKING:
    from sfumato.studio import Studio


def build(studio: Studio) -> Blueprint:
    """One document; all that it shows comes from /api/v1/pictures."""
    blueprint = Blueprint("gallery", __name__, template_folder="templates", static_folder="static")

    @blueprint.get("/")
    def root() -> str:
        return render_template("gallery/page.html")

    return blueprint
