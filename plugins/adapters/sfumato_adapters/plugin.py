"""The face of the plugin adapters to the kernel."""

from __future__ import annotations

from sfumato.adapters import AdapterInfo
from sfumato.commands import CommandInfo
from sfumato.hookspecs import hookimpl
from sfumato.queries import QueryInfo
from sfumato.registry import Registrar
from sfumato.settings import SettingsSectionInfo

SFUMATO_API = "1.0"


@hookimpl
def register_adapters(adapters: Registrar[AdapterInfo]) -> None:
    adapters.add(
        "lora",
        "sfumato_adapters.lora:LoraKind",
        label="LoRA",
        aliases=("lycoris",),
        tags=("lora", "lyco"),
        summary="LoRA and the kinds of LyCORIS: <lora:name:0.8>.",
    )
    adapters.add(
        "embedding",
        "sfumato_adapters.embedding:EmbeddingKind",
        label="Textual inversion",
        summary="Learned words, by their name in the prompt.",
    )


@hookimpl
def register_queries(queries: Registrar[QueryInfo]) -> None:
    queries.add(
        "adapters",
        "sfumato_adapters.listing:adapters",
        label="Adapters",
        summary="The LoRAs and learned words that there are, and which of them fit a model.",
        request="sfumato_adapters.listing:AdaptersRequest",
    )


@hookimpl
def register_settings(sections: Registrar[SettingsSectionInfo]) -> None:
    sections.add("adapters", "sfumato_adapters.settings:AdapterSettings", label="Adapters")


@hookimpl
def register_commands(commands: Registrar[CommandInfo]) -> None:
    commands.add(
        "loras",
        "sfumato_adapters.commands:loras",
        label="LoRAs",
        summary="List the LoRAs that there are, show what one holds.",
    )
