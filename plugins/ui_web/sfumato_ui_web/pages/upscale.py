"""The page Upscale: finished pictures enlarged and mended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, render_template

from sfumato_ui_web.pages.blueprints import page

if TYPE_CHECKING:
    from sfumato.studio import Studio


def build(studio: Studio) -> Blueprint:
    """Fulfils `sfumato.pages.Page`; pictures and jobs come from the JSON API."""
    blueprint = page("upscale")

    @blueprint.get("/")
    def root() -> str:
        from sfumato.request import UpscaleRequest
        from sfumato_ui_web.forms import fields_of

        controls = fields_of(UpscaleRequest, leave_out=("images",))
        return render_template(
            "upscale/page.html",
            plain=[control for control in controls if not control.advanced],
            advanced=[control for control in controls if control.advanced],
        )

    return blueprint
