"""The face of the plugin api_a1111 to the kernel."""

from __future__ import annotations

from sfumato.hookspecs import hookimpl
from sfumato.pages import RoutesInfo
from sfumato.registry import Registrar
from sfumato.settings import SettingsSectionInfo

SFUMATO_API = "1.0"


@hookimpl
def register_routes(routes: Registrar[RoutesInfo]) -> None:
    routes.add(
        "sdapi",
        "sfumato_api_a1111.routes:build",
        label="A1111 API",
        address="/sdapi/v1",
        summary="The API of AUTOMATIC1111's web UI, for the clients that speak it.",
        basic=True,
    )
    routes.add(
        "a1111_internal",
        "sfumato_api_a1111.internal:build",
        label="A1111 internal API",
        address="/internal",
        summary="Progress as A1111's own page asks for it.",
        basic=True,
    )
    routes.add(
        "a1111_user",
        "sfumato_api_a1111.page_routes:build",
        label="A1111 page routes",
        address="",
        summary="The routes of A1111's page by which clients see whether it runs.",
        basic=True,
    )


@hookimpl
def register_settings(sections: Registrar[SettingsSectionInfo]) -> None:
    sections.add("api_a1111", "sfumato_api_a1111.settings:ApiA1111Settings", label="A1111 API")
