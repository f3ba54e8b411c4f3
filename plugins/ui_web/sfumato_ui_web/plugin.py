"""The face of the plugin ui_web to the kernel."""

from __future__ import annotations

from pathlib import Path

from sfumato.commands import CommandInfo
from sfumato.hookspecs import hookimpl
from sfumato.pages import CatalogueInfo, PageInfo, RoutesInfo
from sfumato.registry import Registrar
from sfumato.settings import SettingsSectionInfo

SFUMATO_API = "1.0"


@hookimpl
def register_pages(pages: Registrar[PageInfo]) -> None:
    home = "sfumato_ui_web.pages"
    pages.add(
        "generate",
        f"{home}.generate:build",
        label="Generate",
        summary="Pictures from prompts and pictures.",
        order=10,
        icon="M12 3l1.8 5.2L19 10l-5.2 1.8L12 17l-1.8-5.2L5 10l5.2-1.8zM19 16v4M17 18h4",
    )
    pages.add(
        "upscale",
        f"{home}.upscale:build",
        label="Upscale",
        summary="Pictures enlarged and mended.",
        order=30,
        icon="M14 4h6v6M20 4l-7 7M10 20H4v-6M4 20l7-7",
    )
    pages.add(
        "models",
        f"{home}.models:build",
        label="Models",
        summary="Checkpoints, LoRAs and embeddings.",
        order=40,
        icon="M12 3l8 4.5v9L12 21l-8-4.5v-9zM12 12l8-4.5M12 12v9M12 12L4 7.5",
    )
    pages.add(
        "queue",
        f"{home}.queue:build",
        label="Queue",
        summary="What is being done, what waits, and what was done.",
        order=50,
        icon="M4 6h16M4 12h16M4 18h10",
    )
    pages.add(
        "plugins",
        f"{home}.plugins:build",
        label="Plugins",
        summary="What is installed, and why something does not work.",
        order=60,
        icon="M9 3v4M15 3v4M6 7h12v4a6 6 0 0 1-12 0zM12 17v4",
    )
    pages.add(
        "settings",
        f"{home}.settings:build",
        label="Settings",
        summary="Every setting, and where its value comes from.",
        order=70,
        icon="M4 8h9M17 8h3M4 16h3M11 16h9M13 8a2 2 0 1 0 4 0a2 2 0 1 0-4 0M7 16a2 2 0 1 0 4 0a2 2 0 1 0-4 0",
    )
    pages.add(
        "system",
        f"{home}.system:build",
        label="System",
        summary="Memory, devices, worker processes and health.",
        order=80,
        icon="M3 12h4l3-7 4 14 3-7h4",
    )


@hookimpl
def register_routes(routes: Registrar[RoutesInfo]) -> None:
    routes.add(
        "api_v1",
        "sfumato_ui_web.api.routes:build",
        label="JSON API",
        address="/api/v1",
        summary="Everything the pages do, for programs; its OpenAPI document is at /api/v1/openapi.json.",
    )


@hookimpl
def register_catalogues(catalogues: Registrar[CatalogueInfo]) -> None:
    catalogues.add("ui_web", Path(__file__).parent / "translations", label="Web interface")


@hookimpl
def register_settings(sections: Registrar[SettingsSectionInfo]) -> None:
    sections.add("web", "sfumato_ui_web.settings:WebSettings", label="Web interface")


@hookimpl
def register_commands(commands: Registrar[CommandInfo]) -> None:
    face = "sfumato_ui_web.commands"
    commands.add("ui", f"{face}:ui", label="Web interface", summary="Start the studio in the browser.")
    commands.add("users", f"{face}:users", label="Users", summary="Who may log in, and tokens for programs.")
