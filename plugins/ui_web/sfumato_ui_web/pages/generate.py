"""The page that makes pictures: prompts, settings, what is being drawn, and what waits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import jsonify, make_response, render_template, request

from sfumato.errors import SfumatoError
from sfumato_ui_web.pages.blueprints import page as blueprint

if TYPE_CHECKING:
    from flask import Blueprint, Response

    from sfumato.studio import Studio


def build(studio: Studio) -> Blueprint:
    """The page for one studio."""
    page = blueprint("generate")

    @page.get("/")
    def show() -> Response:
        from sfumato_ui_web.pages.generate_form import generate_form, grid_form

        return _compressed(
            render_template(
                "generate/page.html",
                form=generate_form(studio.registries),
                grid=grid_form(),
                gallery="gallery" in studio.registries.routes or "gallery" in studio.registries.pages,
            )
        )

    @page.get("/options/sampler")
    def sampler_options() -> str:
        """Controls for the options of a sampler and a scheduler, as HTML to be put in the form."""
        from sfumato_ui_web.pages.generate_form import sampling_options

        names = request.args.get("sampler", ""), request.args.get("scheduler", "")
        return _options(sampling_options(studio.registries, *names))

    @page.get("/options/model")
    def model_options() -> str:
        """Controls for the knobs of a model's family; none for a model that is not here."""
        from sfumato_ui_web.pages.generate_form import family_options

        try:
            return _options(family_options(studio, request.args.get("model") or None))
        except SfumatoError:
            return ""

    @page.get("/recommended")
    def recommended() -> Response:
        """What a model recommends for fields that are left open, and what has no effect on it."""
        try:
            info = studio.library.find(request.args.get("model") or None)
        except SfumatoError as error:
            return jsonify(defaults={}, ignores=[], model=None, problem=str(error))
        defaults = {**info.defaults.model_dump(mode="json"), "model": info.name}
        return jsonify(defaults=defaults, ignores=list(info.ignores), model=info.label or info.name)

    return page


def _compressed(html: str) -> Response:
    """A form of a hundred fields is mostly repetition: it shrinks to a seventh.

    Nothing that a stranger sends stands in it, so its length tells nothing of the secrets beside.
    """
    import gzip

    answer = make_response(html)
    answer.vary.add("Accept-Encoding")
    if request.accept_encodings["gzip"]:
        answer.set_data(gzip.compress(html.encode(), 5))
        answer.headers["Content-Encoding"] = "gzip"
    return answer


def _options(fields: Any) -> str:
    return render_template("forms/options.html", fields=fields, form="form")
