"""Tells Sfumato what there is; the code is imported when it is first used."""

from __future__ import annotations

from sfumato.hookspecs import hookimpl
from sfumato.pages import PageInfo
from sfumato.registry import Registrar

SFUMATO_API = "1.0"


@hookimpl
def register_pages(pages: Registrar[PageInfo]) -> None:
    pages.add(
        "sampler_table",
        "sfumato_sampler_table.page:build",
        label="Sampler Table",
        summary="Lists the samplers that are installed, and finds one by any of its names.",
    )
