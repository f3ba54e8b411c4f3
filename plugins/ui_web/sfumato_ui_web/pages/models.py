"""The page Models: checkpoints, LoRAs, learned words, autoencoders and upscalers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, abort, jsonify, render_template, request, send_file

from sfumato.previews import preview_beside
from sfumato_ui_web.pages.blueprints import page
from sfumato_ui_web.pages.model_cards import TABS, ModelCards, Tab

if TYPE_CHECKING:
    from sfumato.studio import Studio

PREVIEW_SECONDS = 86400


def build(studio: Studio) -> Blueprint:
    """Fulfils `sfumato.pages.Page`."""
    blueprint = page("models")
    cards = ModelCards(studio)

    @blueprint.get("/")
    def root() -> str:
        return render_template("models/page.html", tabs=list(TABS))

    @blueprint.get("/cards/<tab>")
    def tab_cards(tab: str) -> Response:
        rescan = request.args.get("rescan") == "1"
        found = cards.cards(_tab(tab), request.args.get("model", ""), rescan=rescan)
        return jsonify(found.as_json())

    @blueprint.get("/names")
    def names() -> Response:
        models, _ = cards.models()
        return jsonify([{"name": info.name, "label": info.label or info.family} for info in models])

    @blueprint.get("/hash/<tab>/<path:name>")
    def known_hash(tab: str, name: str) -> Response:
        """The SHA-256 as far as it is known: no file is read for it."""
        path = cards.path_of(_tab(tab), name) or abort(404)
        return jsonify({"sha256": studio.library.known_sha256(path) if path.is_file() else ""})

    @blueprint.get("/preview/<tab>/<path:name>")
    def preview(tab: str, name: str) -> Any:
        path = cards.path_of(_tab(tab), name)
        picture = preview_beside(path) if path else None
        if picture is None:
            abort(404)
        return send_file(picture, max_age=PREVIEW_SECONDS, conditional=True)

    return blueprint


def _tab(name: str) -> Tab:
    return name if name in TABS else abort(404)
