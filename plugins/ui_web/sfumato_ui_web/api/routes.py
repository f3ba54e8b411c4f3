"""The JSON API: everything the pages do, for programs."""

from __future__ import annotations

from typing import cast

from flask import Blueprint, Flask

from sfumato.studio import Studio
from sfumato_ui_web.api import socket
from sfumato_ui_web.api.administration import Administration
from sfumato_ui_web.api.choices import Choices
from sfumato_ui_web.api.documents import Documents
from sfumato_ui_web.api.endpoints import mount
from sfumato_ui_web.api.estimates import Estimates
from sfumato_ui_web.api.events import Events
from sfumato_ui_web.api.jobs import Jobs
from sfumato_ui_web.api.model_list import ModelList
from sfumato_ui_web.api.pictures import JobPictures
from sfumato_ui_web.api.queries import Questions
from sfumato_ui_web.api.upload_routes import UploadRoutes


def build(studio: Studio) -> Blueprint:
    """All of /api/v1 but what other plugins bring."""
    api = Blueprint("api_v1", __name__)
    models = ModelList(studio)
    mount(
        api,
        Administration(studio),
        Jobs(studio),
        Estimates(studio),
        JobPictures(studio),
        Events(studio),
        UploadRoutes(studio),
        Questions(studio),
        Choices(studio, models),
        models,
        Documents(),
    )
    path = socket.PATH
    api.record(lambda state: _serve_socket(cast(Flask, state.app), f"{state.url_prefix}{path}", studio))
    return api


def _serve_socket(app: Flask, path: str, studio: Studio) -> None:
    core = app.extensions.get("sfumato")
    if core is not None:
        core.websocket(path, socket.handler_for(studio))
