"""What a checkpoint of the Chroma family is, from its header alone. Imports no torch."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import asdict

from sfumato.models import CheckpointHeader, ModelInfo
from sfumato.request import RequestDefaults
from sfumato_models_flux.chroma.config import APPROXIMATOR, ChromaConfig, expected_shapes
from sfumato_models_flux.chroma.options import ChromaOptions
from sfumato_models_flux.header_checks import FLUX_BLOCKS, preferred_options, stored_axes
from sfumato_models_flux.stored_transformer import StoredTransformer, find_transformer_like
from sfumato_networks.header_checks import check_types, checked_config, refuse_lora
from sfumato_networks.part_finder import T5_TOKENIZER
from sfumato_networks.parts import AUTOENCODER, T5_ENCODER, Part, recognise
from sfumato_networks.quantised_storage import refuse_quantised
from sfumato_networks.tokenizer import holds_tokenizer

TOKENIZER_FOLDER = "tokenizer"
"""Where a diffusers folder has T5's: there is no other."""

_DIFFUSERS_CLASS = "ChromaTransformer2DModel"
_BLOCKS = (
    "double_blocks.0.img_attn.qkv.weight",
    "single_blocks.0.linear1.weight",
    "transformer_blocks.0.attn.to_q.weight",
    "single_transformer_blocks.0.attn.to_q.weight",
)
_RELATIVES = ("nerf_",)  # Chroma Radiance, which draws pixels
_SIZES = (ChromaConfig.hidden_size, ChromaConfig.double_blocks, ChromaConfig.single_blocks)


def detect(header: CheckpointHeader) -> ModelInfo | None:
    """The model in a checkpoint, or None when it is of another family.

    Raises:
        CheckpointError: it is of this family but cannot be right or is quantised, or is a LoRA.
    """
    stored = find_chroma(header)
    if stored is None:
        return None
    refuse_lora(header, *FLUX_BLOCKS)
    refuse_quantised(stored.tensors, header.path.name)
    check_types(header, stored.tensors)
    config = read_config(header, stored)
    parts = recognise(header)
    return ModelInfo(
        ignores=("clip_skip", "tiling"),
        name=header.path.name if header.layout == "diffusers_folder" else header.path.stem,
        family="chroma",
        label=_label(config),
        path=header.path,
        layout=header.layout,
        format=header.format,
        prediction="flow",
        sizes={**asdict(config), "latent_channels": config.out_channels // 4},
        parts=(stored.info(expected_shapes(config)), *(part.info for part in parts)),
        missing_parts=_missing(header, parts),
        defaults=RequestDefaults(steps=26, sampler="euler", scheduler="flow", cfg_scale=4.0),
        options=preferred_options(header, ChromaOptions),
        metadata=dict(header.metadata),
    )


def find_chroma(header: CheckpointHeader) -> StoredTransformer | None:
    """Where in the checkpoint a Chroma transformer is, if it holds one."""
    return find_transformer_like(header, _is_chroma, _DIFFUSERS_CLASS)


def read_config(header: CheckpointHeader, stored: StoredTransformer) -> ChromaConfig:
    """The transformer's sizes; CheckpointError where a tensor is missing or of another shape than that."""
    return checked_config(
        header,
        stored,
        lambda: ChromaConfig.from_shapes(stored.shapes, axes=stored_axes(header)),
        expected_shapes,
        family="Chroma",
    )


def _is_chroma(names: Collection[str]) -> bool:
    approximated = f"{APPROXIMATOR}.in_proj.weight" in names or f"{APPROXIMATOR}.out_proj.weight" in names
    known = any(block in names for block in _BLOCKS)
    return approximated and known and not any(name.startswith(_RELATIVES) for name in names)


def _label(config: ChromaConfig) -> str:
    sizes = (config.hidden_size, config.double_blocks, config.single_blocks)
    if sizes == _SIZES:
        return "Chroma"
    return f"Chroma (width {sizes[0]}, {sizes[1]} + {sizes[2]} blocks)"


def _missing(header: CheckpointHeader, parts: Iterable[Part]) -> tuple[str, ...]:
    held = {part.kind for part in parts}
    if holds_tokenizer(header.path / TOKENIZER_FOLDER):
        held.add(T5_TOKENIZER)
    return tuple(kind for kind in (AUTOENCODER, T5_ENCODER, T5_TOKENIZER) if kind not in held)
