"""The face of the plugin gallery to the kernel."""

from __future__ import annotations

from pathlib import Path

from sfumato.hookspecs import hookimpl
from sfumato.pages import CatalogueInfo, PageInfo, RoutesInfo
from sfumato.registry import Registrar
from sfumato.settings import SettingsSectionInfo
from sfumato.tasks import TaskInfo

SFUMATO_API = "1.0"


@hookimpl
def register_pages(pages: Registrar[PageInfo]) -> None:
    pages.add(
        "gallery",
        "sfumato_gallery.page:build",
        label="Gallery",
        summary="Every picture made: search, favourites, what it remembers.",
        order=20,
        icon="M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15.5 9h.01",
    )


@hookimpl
def register_routes(routes: Registrar[RoutesInfo]) -> None:
    routes.add(
        "pictures",
        "sfumato_gallery.routes:build",
        label="Pictures",
        address="/api/v1/pictures",
        summary="The index of pictures: search, thumbnails, favourites, trash.",
    )


@hookimpl
def register_tasks(tasks: Registrar[TaskInfo]) -> None:
    tasks.add(
        "index_pictures",
        "sfumato_gallery.indexing:index_pictures",
        label="Index pictures",
        summary="Pictures of a folder taken into the gallery.",
        request="sfumato_gallery.records:IndexRequest",
        lane="background",
    )


@hookimpl
def register_settings(sections: Registrar[SettingsSectionInfo]) -> None:
    sections.add("gallery", "sfumato_gallery.settings:GallerySettings", label="Gallery")


@hookimpl
def register_catalogues(catalogues: Registrar[CatalogueInfo]) -> None:
    catalogues.add("gallery", Path(__file__).parent / "translations", label="Gallery")
