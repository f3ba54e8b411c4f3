"""The face of the plugin quant_gguf to the kernel."""

from __future__ import annotations

from sfumato.commands import CommandInfo
from sfumato.hookspecs import hookimpl
from sfumato.models import WeightFormatInfo
from sfumato.registry import Registrar

SFUMATO_API = "1.0"


@hookimpl
def register_weight_formats(formats: Registrar[WeightFormatInfo]) -> None:
    formats.add("gguf", "sfumato_quant_gguf.format:GgufFormat", label="GGUF", suffixes=(".gguf",))


@hookimpl
def register_commands(commands: Registrar[CommandInfo]) -> None:
    commands.add(
        "quantize",
        "sfumato_quant_gguf.commands:quantize",
        label="Quantize",
        summary="Write a model, or a part of one, with quantised weights.",
    )
