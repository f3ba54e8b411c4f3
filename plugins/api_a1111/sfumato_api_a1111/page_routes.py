"""Routes of A1111's page that clients ask to see whether it runs."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

from flask import Blueprint

from sfumato_api_a1111 import errors
from sfumato_api_a1111.errors import json_response
from sfumato_api_a1111.working import current_user

if TYPE_CHECKING:
    from flask import Response

    from sfumato.studio import Studio


def build(studio: Studio) -> Blueprint:
    """The blueprint of these routes."""
    blueprint = Blueprint("a1111_page", __name__)
    errors.add_to(blueprint)
    blueprint.add_url_rule("/user", "user", user, methods=["GET"])
    blueprint.add_url_rule("/config", "config", config, methods=["GET"])
    return blueprint


def user() -> Response:
    return json_response(current_user())


def config() -> Response:
    """Of Gradio's configuration no more than clients look at: that there is one."""
    return json_response({"version": version("sfumato-kernel"), "title": "Sfumato", "components": []})
