"""Tells Sfumato what there is; the code is imported when it is first used."""

from __future__ import annotations

from sfumato.hookspecs import hookimpl
from sfumato.models import ModelFamilyInfo
from sfumato.registry import Registrar

SFUMATO_API = "1.0"


@hookimpl
def register_model_families(families: Registrar[ModelFamilyInfo]) -> None:
    families.add(
        "swatch",
        "sfumato_swatch.family:SwatchFamily",
        label="Swatch",
        summary="Plain colours chosen by the words of a prompt: a model small enough to read.",
    )
