"""The JSON API: everything the pages do, for programs."""

from __future__ import annotations

from flask import Blueprint
from werkzeug.exceptions import HTTPException

from sfumato.studio import Studio
from sfumato_ui_web.api.choices import Choices
from sfumato_ui_web.api.endpoints import mount
from sfumato_ui_web.api.events import Events
from sfumato_ui_web.api.jobs import Jobs
from sfumato_ui_web.api.model_list import ModelList
from sfumato_ui_web.api.pictures import JobPictures
from sfumato_ui_web.api.queries import Questions
from sfumato_ui_web.problems import problem


def build(studio: Studio) -> Blueprint:
    """All of /api/v1 but what other plugins bring."""
    api = Blueprint("api_v1", __name__)
    models = ModelList(studio)
    mount(
        api,
        Jobs(studio),
        JobPictures(studio),
        Events(studio),
        Questions(studio),
        Choices(studio, models),
        models,
    )
    api.register_error_handler(HTTPException, _http_problem)
    return api


def _http_problem(error: HTTPException):  # type: ignore[no-untyped-def]
    return error.response or problem(error.code or 500, detail=error.description or "")
