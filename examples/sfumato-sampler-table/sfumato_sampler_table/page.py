"""A page that lists the installed samplers."""

from __future__ import annotations

from flask import Blueprint, render_template, request

from sfumato.errors import UnknownName
from sfumato.studio import Studio

TEMPLATE = "sampler_table/page.html"


def build(studio: Studio) -> Blueprint:
    """The page for one studio; its root is what the navigation leads to."""
    page = Blueprint("sampler_table", __name__, template_folder="templates")

    @page.get("/")
    def show() -> str:
        """All samplers, or the one that `?name=` asks for."""
        asked = request.args.get("name", "").strip()
        samplers = [entry.info for entry in studio.registries.samplers]
        found, problem = samplers, ""
        if asked:
            try:
                found = [studio.registries.samplers.get(asked).info]
            except UnknownName as error:
                problem = str(error)
        return render_template(TEMPLATE, asked=asked, samplers=found, problem=problem)

    return page
