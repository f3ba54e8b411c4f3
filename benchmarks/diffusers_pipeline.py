"""Diffusers' `FluxPipeline` on the weights of a single-file Flux: the peer, built as the tests build it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.tiny_models.oracle import flux_pipeline
from tests.tiny_models.stored import StoredFlux

from sfumato_networks.safetensors_header import read_header


def peer_pipeline(checkpoint: Path) -> Any:
    """The pipeline in float32; tokenizers lie beside the checkpoint, the rest is in its metadata."""
    metadata = read_header(checkpoint).metadata
    scaling = (float(metadata["sfumato.latent_scale"]), float(metadata["sfumato.latent_shift"]))
    tokenizers, shift = checkpoint.parent / "tokenizers", float(metadata["sfumato.flow_shift"])
    return flux_pipeline(StoredFlux(checkpoint), tokenizers, shift=shift, scaling=scaling)
