"""The page Plugins: what is installed, and why something does not work."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from flask import Blueprint, render_template

from sfumato_ui_web.api.owners import is_local
from sfumato_ui_web.pages.blueprints import page
from sfumato_ui_web.pages.plugin_cards import plugin_cards

if TYPE_CHECKING:
    from sfumato.studio import Studio


def build(studio: Studio) -> Blueprint:
    """Fulfils `sfumato.pages.Page`; switching goes through the JSON API."""
    blueprint = page("plugins")

    @blueprint.get("/")
    def root() -> str:
        cards = plugin_cards(studio)
        return render_template(
            "plugins/page.html",
            cards=cards,
            is_local=is_local(),
            counts=Counter(card.state for card in cards),
            restart_wanted=any(card.changes_at_restart for card in cards),
            has_settings=any(entry.info.name == "settings" for entry in studio.registries.pages),
        )

    return blueprint
