"""The route ``/progress``, and its short-cut past Flask."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from flask import Response, g, request

from sfumato_api_a1111.state import NAME, current_api

if TYPE_CHECKING:
    from flask import Blueprint
    from flask.sansio.blueprints import BlueprintSetupState

PATH = "/progress"


def progress() -> Response:
    """What the short-cut answers, for an application that has none."""
    request.environ["sfumato.user"] = g.get("user", "")
    told: dict[str, Any] = {}

    def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
        told.update(status=status, headers=headers)

    body = current_api().progress.wsgi(request.environ, start) or [b""]
    return Response(b"".join(body), told["status"], told["headers"])


def use_shortcut(blueprint: Blueprint) -> None:
    """Let the application answer the path before its routing, where it can."""

    def register(setup: BlueprintSetupState) -> None:
        core = setup.app.extensions.get("sfumato")
        if core is None:
            return
        api = setup.app.extensions[NAME]

        def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes] | None:
            found: Iterable[bytes] | None = api.progress.wsgi(environ, start_response)
            return found

        core.shortcut(f"{setup.url_prefix or ''}{PATH}", answer, basic=True)

    blueprint.record(register)
