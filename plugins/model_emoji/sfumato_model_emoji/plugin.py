"""Registers the embedded emoji model."""

from __future__ import annotations

from pathlib import Path

from sfumato.hookspecs import hookimpl
from sfumato.models import RegisteredModelInfo
from sfumato.registry import Registrar
from sfumato.request import RequestDefaults

SFUMATO_API = "1.0"
WEIGHTS = Path(__file__).parent / "weights"


@hookimpl
def register_models(models: Registrar[RegisteredModelInfo]) -> None:
    models.add(
        "emoji",
        WEIGHTS / "emoji_flux.safetensors",
        label="Sfumato Emoji",
        summary="A tiny Flux trained from scratch on open emoji: 64-pixel pictures within a second.",
        licence="Apache-2.0 (trained on Fluent Emoji, MIT, and Noto Emoji, Apache-2.0)",
        defaults=RequestDefaults(
            steps=20, sampler="euler", scheduler="flow", cfg_scale=3.0, width=64, height=64
        ),
        options={"shift": 1.0},
    )
