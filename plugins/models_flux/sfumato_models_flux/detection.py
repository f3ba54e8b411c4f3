"""What a checkpoint of the Flux family is, from its header alone. Imports no torch."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from pydantic import ValidationError

from sfumato.errors import CheckpointError
from sfumato.models import CheckpointHeader, ModelInfo
from sfumato.request import RequestDefaults
from sfumato_models_flux.config import FILL, PICTURE_CHANNELS, FluxConfig, expected_shapes
from sfumato_models_flux.options import FluxOptions
from sfumato_models_flux.sources import Shape
from sfumato_models_flux.stored_transformer import StoredTransformer, find_transformer
from sfumato_networks.part_finder import CLIP_TOKENIZER, T5_TOKENIZER
from sfumato_networks.parts import AUTOENCODER, CLIP_TEXT, T5_ENCODER, Part, recognise
from sfumato_networks.quantised_storage import refuse_quantised
from sfumato_networks.tokenizer import holds_tokenizer

_LATENT_PATCH = 4
_OPTIONS: Mapping[str, Mapping[str, Any]] = {FILL: {"guidance": 30.0}}
"""What its makers recommend for a variant."""
_LORA = re.compile(r"lora_(down|up|A|B)\b|lora\d?\.(down|up)\b|lokr_|hada_")
_FLUX_BLOCKS = ("double_blocks", "single_blocks", "single_transformer_blocks")
_NUMBERS_ONLY = {"BOOL", "U8", "I8", "U16", "I16", "U32", "I32", "U64", "I64", "C64", "F8_E8M0"}
_GET_AGAIN = "Get the file again, or ask who made it."


def detect(header: CheckpointHeader) -> ModelInfo | None:
    """The model in a checkpoint, or None when it is of another family.

    Raises:
        CheckpointError: it is of this family but cannot be right or is quantised, or is a LoRA.
    """
    _refuse_lora(header)
    stored = find_transformer(header)
    if stored is None:
        return None
    refuse_quantised(stored.tensors, header.path.name)
    _check_types(header, stored)
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
        parts=(stored.info(config), *(part.info for part in parts)),
        missing_parts=_missing(header, parts),
        defaults=_defaults(variant, config),
        options={**_preferred_options(header), **_OPTIONS.get(variant, {})},
        sees_picture=variant == FILL,
        metadata=dict(header.metadata),
    )


def read_config(header: CheckpointHeader, stored: StoredTransformer) -> FluxConfig:
    """The transformer's sizes, every tensor's shape checked against them.

    Raises:
        CheckpointError: a tensor is missing or has another shape than the rest implies.
    """
    try:
        config = FluxConfig.from_shapes(stored.shapes, axes=_stored_axes(header))
    except KeyError as error:
        raise _lacks(header, [str(error.args[0])]) from error
    except (ValueError, IndexError, ZeroDivisionError) as error:
        raise CheckpointError(
            f"'{header.path.name}' has the tensors of Flux, but not its sizes.",
            why=f"{error}.",
            hint=_GET_AGAIN,
        ) from error
    check_shapes(header, stored.shapes, expected_shapes(config))
    return config


def check_shapes(header: CheckpointHeader, found: Mapping[str, Shape], expected: Mapping[str, Shape]) -> None:
    """Raises `CheckpointError` naming the first tensors that are missing, or one of a wrong shape."""
    missing = [name for name in expected if name not in found]
    if missing:
        raise _lacks(header, missing)
    for name, shape in expected.items():
        if found[name] != shape:
            raise CheckpointError(
                f"'{header.path.name}' does not fit together: tensor '{name}' has a wrong shape.",
                why=f"Expected {list(shape)} by the sizes of its other tensors, found {list(found[name])}.",
                hint=_GET_AGAIN,
            )


def _lacks(header: CheckpointHeader, missing: list[str]) -> CheckpointError:
    more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
    return CheckpointError(
        f"'{header.path.name}' is an incomplete Flux model.",
        why=f"It lacks {', '.join(missing[:3])}{more}.",
        hint=_GET_AGAIN,
    )


def _check_types(header: CheckpointHeader, stored: StoredTransformer) -> None:
    for name, info in stored.tensors.items():
        if name.endswith(("weight", "bias", "scale")) and info.dtype in _NUMBERS_ONLY:
            raise CheckpointError(
                f"'{header.path.name}' cannot be used: tensor '{name}' has a wrong type.",
                why=f"Expected floating-point weights (BF16, F16, F32, F8), found {info.dtype}.",
                hint="It may be quantised in a way that no installed plugin reads: get another file.",
            )


def _refuse_lora(header: CheckpointHeader) -> None:
    """Of a LoRA for Flux or a relative whose blocks are named alike."""
    names = header.tensors
    marked = [name for name in names if _LORA.search(name)]
    if 2 * len(marked) > len(names) and any(block in name for block in _FLUX_BLOCKS for name in marked):
        raise CheckpointError(
            f"'{header.path.name}' is a LoRA, not a model.",
            why=f"{len(marked)} of its {len(names)} tensors are low-rank changes to another model's weights.",
            hint="Choose the model it was made for; LoRAs are not applied yet.",
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


def _preferred_options(header: CheckpointHeader) -> dict[str, Any]:
    """The shift that a diffusers folder's scheduler prescribes."""
    scheduler = header.configs.get("scheduler", {})
    if not scheduler:
        return {}
    if scheduler.get("use_dynamic_shifting"):
        stated = {key: scheduler[key] for key in ("base_shift", "max_shift") if key in scheduler}
    else:
        stated = {"shift": scheduler.get("shift", 1.0)}
    try:
        return FluxOptions.model_validate(stated).model_dump(include=set(stated))
    except ValidationError as error:
        problem = error.errors()[0]
        raise CheckpointError(
            f"'{header.path.name}' has an unusable scheduler/scheduler_config.json.",
            why=f"{problem['loc'][0]} is {problem['input']!r}: {problem['msg']}.",
            hint=_GET_AGAIN,
        ) from error


def _stored_axes(header: CheckpointHeader) -> tuple[int, ...] | None:
    """The rotary axes, where config.json or the metadata (`sfumato.flux_axes`) say them."""
    axes = header.configs.get("transformer", {}).get("axes_dims_rope")
    if axes is None and "sfumato.flux_axes" in header.metadata:
        try:
            axes = json.loads(header.metadata["sfumato.flux_axes"])
        except (ValueError, RecursionError):
            axes = header.metadata["sfumato.flux_axes"]
    if axes is None:
        return None
    if not (isinstance(axes, list) and all(type(axis) is int for axis in axes)):
        raise CheckpointError(
            f"'{header.path.name}' has unusable rotary axes.",
            why=f"Expected three positive even numbers, found {axes!r}.",
            hint=_GET_AGAIN,
        )
    return tuple(axes)
