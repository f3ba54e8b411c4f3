"""The shared networks' face to the kernel: the file formats they are read from."""

from __future__ import annotations

from sfumato.hookspecs import hookimpl
from sfumato.models import WeightFormatInfo
from sfumato.registry import Registrar

SFUMATO_API = "1.0"


@hookimpl
def register_weight_formats(formats: Registrar[WeightFormatInfo]) -> None:
    formats.add(
        "safetensors",
        "sfumato_networks.formats:SafetensorsFormat",
        label="Safetensors",
        suffixes=(".safetensors", ".sft"),
    )
    formats.add(
        "diffusers_folder",
        "sfumato_networks.formats:DiffusersFolderFormat",
        label="Diffusers folder",
        folder_marker="model_index.json",
    )
