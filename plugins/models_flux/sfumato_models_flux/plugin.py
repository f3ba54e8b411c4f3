"""The Flux plugin's face to the kernel."""

from __future__ import annotations

from sfumato.hookspecs import hookimpl
from sfumato.models import ModelFamilyInfo
from sfumato.registry import Registrar

SFUMATO_API = "1.0"


@hookimpl
def register_model_families(families: Registrar[ModelFamilyInfo]) -> None:
    families.add(
        "flux",
        "sfumato_models_flux.family:FluxFamily",
        label="Flux.1",
        aliases=("flux.1",),
        summary="Rectified-flow transformers: Flux.1 dev, schnell, and models of their layout in any size.",
    )
    families.add(
        "chroma",
        "sfumato_models_flux.chroma.family:ChromaFamily",
        label="Chroma",
        aliases=("chroma1",),
        summary="Flux's layout with one network for all modulations, undistilled; reads prompts by T5 alone.",
    )
