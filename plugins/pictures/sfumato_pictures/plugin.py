"""The face of the plugin pictures to the kernel."""

from __future__ import annotations

from sfumato.commands import CommandInfo
from sfumato.hookspecs import hookimpl
from sfumato.queries import QueryInfo
from sfumato.registry import Registrar
from sfumato.settings import SettingsSectionInfo

SFUMATO_API = "1.0"


@hookimpl
def register_settings(sections: Registrar[SettingsSectionInfo]) -> None:
    sections.add("saving", "sfumato_pictures.settings:SavingSettings", label="Saving")


@hookimpl
def register_queries(queries: Registrar[QueryInfo]) -> None:
    queries.add(
        "styles",
        "sfumato_pictures.style_query:styles",
        label="Styles",
        summary="The styles that requests can name.",
        request="sfumato_pictures.style_query:StylesRequest",
    )


@hookimpl
def register_commands(commands: Registrar[CommandInfo]) -> None:
    commands.add(
        "styles",
        "sfumato_pictures.commands:styles",
        label="Styles",
        summary="List, add and remove styles: named pieces of prompts.",
    )
    face = "sfumato_pictures.picture_commands"
    commands.add("info", f"{face}:info", label="Info", summary="Print what pictures remember.")
    commands.add("sheet", f"{face}:sheet", label="Sheet", summary="Put pictures on one sheet.")
    commands.add("zip", f"{face}:archive", label="ZIP", summary="Put pictures into one ZIP file.")
