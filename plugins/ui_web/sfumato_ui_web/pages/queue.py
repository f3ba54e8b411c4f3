"""The page Queue: what is being done, what waits, and what was done."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from flask import Blueprint, render_template

from sfumato.jobs.records import ENDED, JobState
from sfumato_ui_web.pages.blueprints import page

if TYPE_CHECKING:
    from sfumato.studio import Studio


def build(studio: Studio) -> Blueprint:
    """Fulfils `sfumato.pages.Page`; jobs themselves come from the JSON API and its events."""
    blueprint = page("queue")
    kinds = [
        {"name": entry.info.name, "label": entry.info.label}
        for entry in studio.registries.tasks
        if entry.info.request
    ]
    states = [state for state in get_args(JobState) if state in ENDED]

    @blueprint.get("/")
    def root() -> str:
        return render_template("queue/page.html", kinds=kinds, states=states)

    return blueprint
