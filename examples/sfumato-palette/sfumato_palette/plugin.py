"""Tells Sfumato what there is; the code is imported when it is first used."""

from __future__ import annotations

from pathlib import Path

from sfumato.hookspecs import hookimpl
from sfumato.pages import CatalogueInfo, PanelInfo, RoutesInfo
from sfumato.queries import QueryInfo
from sfumato.registry import Registrar
from sfumato.tasks import TaskInfo

SFUMATO_API = "1.0"


@hookimpl
def register_queries(queries: Registrar[QueryInfo]) -> None:
    queries.add(
        "palette",
        "sfumato_palette.colours:palette",
        label="Palette",
        summary="The colours that a picture has most of.",
        request="sfumato_palette.colours:PaletteRequest",
        reads_paths=True,
    )


@hookimpl
def register_tasks(tasks: Registrar[TaskInfo]) -> None:
    tasks.add(
        "write_palettes",
        "sfumato_palette.files:write_palettes",
        label="Write palettes",
        summary="A palette file for each picture of a folder.",
        request="sfumato_palette.files:WritePalettesRequest",
        lane="background",
    )


@hookimpl
def register_panels(panels: Registrar[PanelInfo]) -> None:
    panels.add(
        "palette",
        "sfumato_palette.web:build_panel",
        label="Palette",
        summary="The colours of the newest picture.",
        page="generate",
    )


@hookimpl
def register_routes(routes: Registrar[RoutesInfo]) -> None:
    routes.add(
        "palette",
        "sfumato_palette.web:build_routes",
        label="Palette",
        summary="The colours of the newest picture, for programs.",
        address="/palette/v1",
    )


@hookimpl
def register_catalogues(catalogues: Registrar[CatalogueInfo]) -> None:
    catalogues.add("palette", Path(__file__).parent / "translations", label="Palette")
