"""What a checkpoint of the Flux family is, from its header alone. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from sfumato.models import CheckpointHeader, ModelInfo
from sfumato.request import RequestDefaults
from sfumato_models_flux.config import FILL, PICTURE_CHANNELS, FluxConfig, expected_shapes
from sfumato_models_flux.header_checks import FLUX_BLOCKS, preferred_options, stored_axes
from sfumato_models_flux.options import FluxOptions
from sfumato_models_flux.stored_transformer import StoredTransformer, find_transformer
from sfumato_networks.header_checks import check_types, checked_config, refuse_lora
from sfumato_networks.part_finder import CLIP_TOKENIZER, T5_TOKENIZER
from sfumato_networks.parts import AUTOENCODER, CLIP_TEXT, T5_ENCODER, Part, recognise
from sfumato_networks.quantised_storage import refuse_quantised
from sfumato_networks.tokenizer import holds_tokenizer

_LATENT_PATCH = 4
_OPTIONS: Mapping[str, Mapping[str, Any]] = {FILL: {"guidance": 30.0}}
"""What its makers recommend for a variant."""


def detect(header: CheckpointHeader) -> ModelInfo | None:
    """The model in a checkpoint, or None when it is of another family.

    Raises:
        CheckpointError: it is of this family but cannot be right or is quantised, or is a LoRA.
    """
    refuse_lora(header, *FLUX_BLOCKS)
    stored = find_transformer(header)
    if stored is None:
        return None
    refuse_quantised(stored.tensors, header.path.name)
    check_types(header, stored.tensors)
    config = read_config(header, stored)
    parts = recognise(header)
    variant = _variant(config)
    return ModelInfo(
        ignores=("clip_skip", "tiling"),
        name=header.path.name if header.layout == "diffusers_folder" else header.path.stem,
        family="flux",
        variant=variant,
        label=_label(variant, config),
        path=header.path,
        layout=header.layout,
        format=header.format,
        prediction="flow",
        sizes={**asdict(config), "latent_channels": config.out_channels // _LATENT_PATCH},
        parts=(stored.info(expected_shapes(config)), *(part.info for part in parts)),
        missing_parts=_missing(header, parts),
        defaults=_defaults(variant, config),
        options={**preferred_options(header, FluxOptions), **_OPTIONS.get(variant, {})},
        sees_picture=variant == FILL,
        metadata=dict(header.metadata),
    )


def read_config(header: CheckpointHeader, stored: StoredTransformer) -> FluxConfig:
    """The transformer's sizes, every tensor's shape checked against them.

    Raises:
        CheckpointError: a tensor is missing or has another shape than the rest implies.
    """
    return checked_config(
        header,
        stored,
        lambda: FluxConfig.from_shapes(stored.shapes, axes=stored_axes(header)),
        expected_shapes,
        family="Flux",
    )


def _variant(config: FluxConfig) -> str:
    """'dev' is told by its guidance embedding; 'schnell' is Flux.1's size without one; the rest is 'flux'."""
    if config.picture_channels:
        return PICTURE_CHANNELS[config.picture_channels]
    if config.guidance:
        return "dev"
    return "schnell" if _is_full_size(config) else "flux"


def _is_full_size(config: FluxConfig) -> bool:
    sizes = (config.hidden_size, config.double_blocks, config.single_blocks)
    return sizes == (FluxConfig.hidden_size, FluxConfig.double_blocks, FluxConfig.single_blocks)


def _label(variant: str, config: FluxConfig) -> str:
    name = "Flux" if variant == "flux" else f"Flux.1 {variant}"
    sizes = f"width {config.hidden_size}, {config.double_blocks} + {config.single_blocks} blocks"
    return name if _is_full_size(config) else f"{name} ({sizes})"


def _missing(header: CheckpointHeader, parts: Iterable[Part]) -> tuple[str, ...]:
    held = {part.kind for part in parts}
    for kind, folder in ((CLIP_TOKENIZER, "tokenizer"), (T5_TOKENIZER, "tokenizer_2")):
        if holds_tokenizer(header.path / folder):
            held.add(kind)
    wanted = (AUTOENCODER, CLIP_TEXT, T5_ENCODER, CLIP_TOKENIZER, T5_TOKENIZER)
    return tuple(kind for kind in wanted if kind not in held)


def _defaults(variant: str, config: FluxConfig) -> RequestDefaults:
    if variant == "schnell":
        return RequestDefaults(steps=4, sampler="euler", scheduler="flow", cfg_scale=1.0)
    cfg_scale = 1.0 if config.guidance else 3.5  # without distilled guidance it needs the true one
    steps = 50 if variant == FILL else 20
    return RequestDefaults(steps=steps, sampler="euler", scheduler="flow", cfg_scale=cfg_scale)
