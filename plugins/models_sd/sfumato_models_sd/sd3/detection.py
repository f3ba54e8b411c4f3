"""What a checkpoint of the SD3 family is, from its header alone. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

from pydantic import ValidationError

from sfumato.errors import CheckpointError
from sfumato.models import CheckpointHeader, ModelInfo
from sfumato.request import RequestDefaults
from sfumato_models_sd.sd3.config import Sd3Config, expected_shapes
from sfumato_models_sd.sd3.options import Sd3Options
from sfumato_models_sd.sd3.stored_transformer import StoredTransformer, find_transformer
from sfumato_networks.header_checks import GET_AGAIN, check_types, checked_config, refuse_lora
from sfumato_networks.part_finder import T5_TOKENIZER
from sfumato_networks.parts import AUTOENCODER, CLIP_G_TEXT, CLIP_TEXT, T5_ENCODER, Part, recognise
from sfumato_networks.quantised_storage import refuse_quantised
from sfumato_networks.tokenizer import holds_tokenizer

_PUBLISHED = {"3-medium": (1536, 24), "3.5-medium": (1536, 24), "3.5-large": (2432, 38)}
"""Width and blocks of the published models."""
_DEFAULTS = {
    "3-medium": (28, 7.0),
    "3.5-medium": (40, 4.5),
    "3.5-large": (40, 4.5),
    "3.5-large-turbo": (4, 1.0),
}
"""Steps and guidance scale."""


def detect(header: CheckpointHeader) -> ModelInfo | None:
    """The model in a checkpoint, or None when it is of another family.

    Raises:
        CheckpointError: it is of this family but cannot be right or is quantised, or is a LoRA.
    """
    refuse_lora(header, "joint_blocks")
    stored = find_transformer(header)
    if stored is None:
        return None
    refuse_quantised(stored.tensors, header.path.name)
    check_types(header, stored.tensors)
    config = read_config(header, stored)
    parts, variant = recognise(header), _variant(config, header)
    steps, cfg_scale = _DEFAULTS[variant]
    return ModelInfo(
        name=header.path.name if header.layout == "diffusers_folder" else header.path.stem,
        family="sd3",
        variant=variant,
        label=_label(variant, config),
        path=header.path,
        layout=header.layout,
        format=header.format,
        prediction="flow",
        sizes={**asdict(config), "heads": config.heads, "latent_channels": config.out_channels},
        parts=(stored.info(config), *(part.info for part in parts)),
        missing_parts=_missing(header, parts),
        defaults=RequestDefaults(steps=steps, sampler="euler", scheduler="normal", cfg_scale=cfg_scale),
        options=_preferred_options(header),
        ignores=("clip_skip", "tiling"),
        metadata=dict(header.metadata),
    )


def read_config(header: CheckpointHeader, stored: StoredTransformer) -> Sd3Config:
    """The transformer's sizes, every tensor's shape checked against them.

    Raises:
        CheckpointError: a tensor is missing or has another shape than the rest implies.
    """
    return checked_config(
        header,
        stored,
        lambda: Sd3Config.from_shapes(stored.shapes, head_size=_stated_head_size(header)),
        expected_shapes,
        family="Stable Diffusion 3",
    )


def _stated_head_size(header: CheckpointHeader) -> int | None:
    """What config.json or the metadata (`sfumato.sd3_head_size`) say: weights tell it in SD3.5 alone."""
    stated = header.configs.get("transformer", {}).get("attention_head_dim")
    stated = header.metadata.get("sfumato.sd3_head_size") if stated is None else stated
    return None if stated is None else int(str(stated))


def _variant(config: Sd3Config, header: CheckpointHeader) -> str:
    """Weights tell all but the turbo, which differs from Large in their values alone."""
    if not config.qk_norm:
        return "3-medium"
    if config.dual_blocks:
        return "3.5-medium"
    return "3.5-large-turbo" if any("turbo" in text.lower() for text in _names(header)) else "3.5-large"


def _names(header: CheckpointHeader) -> Iterator[str]:
    """What a checkpoint calls itself, wherever it lies: in its metadata, in a folder's configs."""
    yield from (text for key, text in header.metadata.items() if key.startswith("modelspec."))
    yield from (str(config.get("_name_or_path", "")) for config in header.configs.values())


def _label(variant: str, config: Sd3Config) -> str:
    name = f"Stable Diffusion {variant.replace('-', ' ').title()}"
    sizes = (config.hidden_size, config.blocks)
    if sizes == _PUBLISHED[variant.removesuffix("-turbo")]:
        return name
    return f"{name} (width {config.hidden_size}, {config.blocks} blocks)"


def _missing(header: CheckpointHeader, parts: Iterable[Part]) -> tuple[str, ...]:
    """What is looked for elsewhere: text encoders too, though one of them is enough."""
    held = {part.kind for part in parts}
    if holds_tokenizer(header.path / "tokenizer_3"):
        held.add(T5_TOKENIZER)
    wanted = (AUTOENCODER, CLIP_TEXT, CLIP_G_TEXT, T5_ENCODER, T5_TOKENIZER)
    return tuple(kind for kind in wanted if kind not in held)


def _preferred_options(header: CheckpointHeader) -> dict[str, Any]:
    """The shift that a diffusers folder's scheduler prescribes."""
    scheduler = header.configs.get("scheduler", {})
    if "shift" not in scheduler:
        return {}
    try:
        return Sd3Options.model_validate({"shift": scheduler["shift"]}).model_dump(include={"shift"})
    except ValidationError as error:
        problem = error.errors()[0]
        raise CheckpointError(
            f"'{header.path.name}' has an unusable scheduler/scheduler_config.json.",
            why=f"shift is {problem['input']!r}: {problem['msg']}.",
            hint=GET_AGAIN,
        ) from error
