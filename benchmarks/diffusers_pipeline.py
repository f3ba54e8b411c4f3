"""Diffusers' `FluxPipeline` on the weights of a single-file Flux: the peer, built as the tests build it."""

from __future__ import annotations

from typing import Any

from tests.tiny_models.oracle import flux_pipeline
from tests.tiny_models.stored import StoredFlux

from sfumato.models import ModelInfo


def peer_pipeline(model: ModelInfo) -> Any:
    """The pipeline in float32 for a model whose file has every part, and its tokenizers beside it."""
    scaling = (float(model.metadata["sfumato.latent_scale"]), float(model.metadata["sfumato.latent_shift"]))
    tokenizers, shift = model.path.parent / "tokenizers", model.options.get("shift")
    return flux_pipeline(StoredFlux(model.path), tokenizers, shift=shift, scaling=scaling)
