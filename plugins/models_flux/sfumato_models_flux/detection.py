"""What a checkpoint of the Flux family is, from its header alone. Imports no torch."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sfumato.errors import CheckpointError
from sfumato.models import CheckpointHeader, ModelInfo, TensorInfo
from sfumato.request import RequestDefaults
from sfumato_models_flux import diffusers_keys
from sfumato_models_flux.config import FluxConfig, Shape, expected_shapes
from sfumato_networks.part_finder import CLIP_TOKENIZER, T5_TOKENIZER
from sfumato_networks.parts import (
    AUTOENCODER,
    CLIP_TEXT,
    T5_ENCODER,
    Part,
    has_scaled_weights,
    part_info,
    recognise,
    under,
)

TRANSFORMER = "transformer"
PREFIXES = ("", "model.diffusion_model.", "transformer/")
"""Before the transformer's names: Black Forest Labs' files, ComfyUI's and Forge's, diffusers folders."""

_LATENT_PATCH = 4
_INPUTS = {384: "fill", 128: "control"}
"""Flux.1 models that see a picture beside the latents, by the ratio of their input to Flux.1's."""

_OTHER_FAMILIES = (
    "distilled_guidance_layer.",  # Chroma
    "double_stream_modulation_img.",  # Flux.2
    "txt_in.individual_token_refiner.",  # HunyuanVideo
    "controlnet_",
    "input_hint_block.",  # ControlNets
)
_LORA_MARKS = ("lora_down", "lora_up", "lora_A", "lora_B", "lokr_", "hada_")
_FLUX_BLOCKS = ("double_blocks", "single_blocks", "single_transformer_blocks")
_NUMBERS_ONLY = {"BOOL", "U8", "I8", "U16", "I16", "U32", "I32", "U64", "I64", "C64", "F8_E8M0"}


@dataclass(frozen=True)
class StoredTransformer:
    """The transformer's tensors in a checkpoint, under the names they are stored with, less the prefix."""

    prefix: str
    tensors: Mapping[str, TensorInfo]

    @property
    def in_diffusers_layout(self) -> bool:
        return diffusers_keys.is_diffusers_flux(self.tensors)

    @property
    def shapes(self) -> dict[str, Shape]:
        """Shapes under the original names."""
        shapes = {name: info.shape for name, info in self.tensors.items()}
        return diffusers_keys.original_shapes(shapes) if self.in_diffusers_layout else shapes


def detect(header: CheckpointHeader) -> ModelInfo | None:
    """The model in a checkpoint, or None when it is of another family.

    Raises:
        CheckpointError: it is of this family but cannot be right, or is a LoRA for it.
    """
    _refuse_lora(header)
    stored = find_transformer(header)
    if stored is None:
        return None
    config = read_config(header, stored)
    _check_types(header, stored)
    parts = recognise(header)
    variant = _variant(config)
    return ModelInfo(
        name=header.path.name if header.layout == "diffusers_folder" else header.path.stem,
        family="flux",
        variant=variant,
        label=_label(variant, config),
        path=header.path,
        layout=header.layout,
        format=header.format,
        prediction="flow",
        sizes={**asdict(config), "latent_channels": config.in_channels // _LATENT_PATCH},
        parts=(
            part_info(TRANSFORMER, stored.prefix, stored.tensors.values()),
            *(part.info for part in parts),
        ),
        missing_parts=_missing(header, parts),
        defaults=_defaults(variant, config),
        options=_preferred_options(header),
        metadata=dict(header.metadata),
    )


def find_transformer(header: CheckpointHeader) -> StoredTransformer | None:
    """Where in the checkpoint a Flux transformer is, if it holds one."""
    for prefix in PREFIXES:
        stored = StoredTransformer(prefix, under(prefix, header.tensors) if prefix else header.tensors)
        if stored.in_diffusers_layout or _is_original_flux(stored.tensors):
            return stored
    return None


def _is_original_flux(names: Mapping[str, Any]) -> bool:
    """Modulations inside the blocks and a patch embedding set Flux.1 apart from its relatives."""
    modulated = (
        "double_blocks.0.img_mod.lin.weight" in names or "single_blocks.0.modulation.lin.weight" in names
    )
    embedded = "img_in.weight" in names or "txt_in.weight" in names
    return modulated and embedded and not any(name.startswith(_OTHER_FAMILIES) for name in names)


def read_config(header: CheckpointHeader, stored: StoredTransformer) -> FluxConfig:
    """The transformer's sizes, every tensor's shape checked against them.

    Raises:
        CheckpointError: a tensor is missing or has another shape than the rest implies.
    """
    shapes = stored.shapes
    try:
        config = FluxConfig.from_shapes(shapes, axes=_stored_axes(header))
    except KeyError as error:
        raise _lacks(header, [str(error.args[0])]) from error
    except (ValueError, IndexError, ZeroDivisionError) as error:
        raise CheckpointError(
            f"'{header.path.name}' has the tensors of Flux, but not its sizes.",
            why=f"{error}.",
            hint=_GET_AGAIN,
        ) from error
    if sum(config.axes) != config.head_size:
        raise CheckpointError(
            f"'{header.path.name}' splits its heads into {config.axes}.",
            why=f"That makes {sum(config.axes)}, but a head has {config.head_size} features.",
            hint=_GET_AGAIN,
        )
    check_shapes(header, shapes, expected_shapes(config))
    return config


_GET_AGAIN = "Get the file again, or ask who made it."


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
    if has_scaled_weights(stored.tensors):
        raise CheckpointError(
            f"'{header.path.name}' holds scaled float8 weights, which are not read yet.",
            hint="Get the plain float8, bfloat16 or float16 file of the model.",
        )
    for name, info in stored.tensors.items():
        if info.dtype in _NUMBERS_ONLY:
            raise CheckpointError(
                f"'{header.path.name}' cannot be used: tensor '{name}' has a wrong type.",
                why=f"Expected floating-point weights (BF16, F16, F32, F8), found {info.dtype}.",
                hint="It may be quantised in a way that no installed plugin reads: get another file.",
            )


def _refuse_lora(header: CheckpointHeader) -> None:
    names = header.tensors
    marked = [name for name in names if any(mark in name for mark in _LORA_MARKS)]
    if 2 * len(marked) > len(names) and any(block in name for block in _FLUX_BLOCKS for name in marked):
        raise CheckpointError(
            f"'{header.path.name}' is a LoRA for Flux, not a model.",
            why=f"{len(marked)} of its {len(names)} tensors are low-rank changes to another model's weights.",
            hint="Choose the model it was made for with --model, and use this file as a LoRA on it.",
        )


def _variant(config: FluxConfig) -> str:
    """'dev' is told by its guidance embedding; 'schnell' is Flux.1's size without one; the rest is 'flux'.

    Fill and control models take more channels than latents have: 384 (latents, masked picture, mask) or 128.
    """
    if config.in_channels in _INPUTS and config.hidden_size == FluxConfig.hidden_size:
        return _INPUTS[config.in_channels]
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
        if (header.path / folder).is_dir():
            held.add(kind)
    wanted = (AUTOENCODER, CLIP_TEXT, T5_ENCODER, CLIP_TOKENIZER, T5_TOKENIZER)
    return tuple(kind for kind in wanted if kind not in held)


def _defaults(variant: str, config: FluxConfig) -> RequestDefaults:
    if variant == "schnell":
        return RequestDefaults(steps=4, sampler="euler", scheduler="flow", cfg_scale=1.0)
    cfg_scale = 1.0 if config.guidance else 3.5  # without distilled guidance it needs the true one
    return RequestDefaults(steps=20, sampler="euler", scheduler="flow", cfg_scale=cfg_scale)


def _preferred_options(header: CheckpointHeader) -> dict[str, Any]:
    """The shift that a diffusers folder's scheduler prescribes."""
    scheduler = header.configs.get("scheduler", {})
    if not scheduler:
        return {}
    if not scheduler.get("use_dynamic_shifting"):
        return {"shift": scheduler.get("shift", 1.0)}
    return {key: scheduler[key] for key in ("base_shift", "max_shift") if key in scheduler}


def _stored_axes(header: CheckpointHeader) -> tuple[int, ...] | None:
    """The rotary axes, where config.json or the metadata (`sfumato.flux_axes`) say them."""
    axes = header.configs.get("transformer", {}).get("axes_dims_rope")
    if axes is None and "sfumato.flux_axes" in header.metadata:
        try:
            axes = json.loads(header.metadata["sfumato.flux_axes"])
        except ValueError:
            axes = ()
    if axes is None:
        return None
    if not (isinstance(axes, list) and len(axes) == 3 and all(isinstance(a, int) and a > 0 for a in axes)):
        raise CheckpointError(
            f"'{header.path.name}' has unusable rotary axes.",
            why=f"Expected three positive even numbers, found {axes!r}.",
            hint=_GET_AGAIN,
        )
    return tuple(axes)
