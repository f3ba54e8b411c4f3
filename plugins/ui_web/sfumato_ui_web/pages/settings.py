"""The page Settings: every setting, and where its value comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, Response, abort, jsonify, render_template

from sfumato.errors import UnknownName
from sfumato_ui_web.pages.blueprints import page
from sfumato_ui_web.pages.setting_rows import as_lines, current_settings, setting_row, setting_sections

if TYPE_CHECKING:
    from sfumato.studio import Studio


def build(studio: Studio) -> Blueprint:
    """Fulfils `sfumato.pages.Page`; changes go through the JSON API."""
    blueprint = page("settings")

    @blueprint.get("/")
    def root() -> str:
        settings = current_settings(studio)
        return render_template(
            "settings/page.html",
            sections=setting_sections(studio),
            file=settings.file,
            file_exists=settings.file.exists(),
            problems=settings.problems,
            unused=settings.unused_keys(),
            as_lines=as_lines,
        )

    @blueprint.get("/state/<key>")
    def state(key: str) -> Response:
        try:
            return jsonify(setting_row(studio, key).as_json())
        except UnknownName:
            abort(404)

    return blueprint
