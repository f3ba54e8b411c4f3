"""What a checkpoint of Stable Diffusion is, from its header alone. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sfumato.errors import CheckpointError
from sfumato.models import CheckpointHeader, ModelInfo
from sfumato_models_sd.config import UNetConfig, expected_shapes
from sfumato_models_sd.prediction import Trained, stated
from sfumato_models_sd.stored_unet import StoredUNet, find_unet
from sfumato_models_sd.variants import Variant, variant_of
from sfumato_networks.header_checks import check_types, checked_config
from sfumato_networks.parts import AUTOENCODER, Part, recognise
from sfumato_networks.quantised_storage import refuse_quantised

FULL_WIDTH = 320
"""Model channels of every UNet that Stability AI and RunwayML published, but for the refiner's 384."""
_EDM_MARKS = ("edm_mean", "edm_std", "edm_vpred.sigma_max")


def detect(header: CheckpointHeader) -> ModelInfo | None:
    """The model in a checkpoint, or None when it is of another family.

    Raises:
        CheckpointError: it is of this family but cannot be right, is quantised, or of a kind that cannot be
            drawn with.
    """
    stored = find_unet(header)
    if stored is None:
        return None
    refuse_quantised(stored.tensors, header.path.name)
    check_types(header, stored.tensors)
    config = read_config(header, stored)
    variant = read_variant(header, config)
    trained = read_trained(header, variant, config)
    parts = recognise(header)
    return ModelInfo(
        name=header.path.name if header.layout == "diffusers_folder" else header.path.stem,
        family="sd",
        variant=variant.full_name,
        label=_label(variant, config, trained),
        path=header.path,
        layout=header.layout,
        format=header.format,
        prediction=trained.prediction,
        sizes=_sizes(config),
        parts=(stored.info(config), *(part.info for part in parts)),
        missing_parts=_missing(variant, parts),
        defaults=variant.defaults(trained.prediction, trained.zero_snr),
        options=_preferred_options(header, variant, trained),
        metadata=dict(header.metadata),
        sees_picture=variant.inpaints,
    )


def read_config(header: CheckpointHeader, stored: StoredUNet) -> UNetConfig:
    """The UNet's sizes, every tensor's shape checked against them.

    Raises:
        CheckpointError: a tensor is missing or has another shape than the rest implies.
    """
    return checked_config(
        header,
        stored,
        lambda: UNetConfig.from_shapes(stored.shapes),
        expected_shapes,
        family="Stable Diffusion",
    )


def read_variant(header: CheckpointHeader, config: UNetConfig) -> Variant:
    """Which Stable Diffusion it is; raises `CheckpointError` where that is none which can be drawn with."""
    scheduler = str(header.configs.get("scheduler", {}).get("_class_name", ""))
    if scheduler.startswith("EDM") or any(name in header.tensors for name in _EDM_MARKS):
        raise CheckpointError(
            f"'{header.path.name}' is an EDM model (Playground 2.5, CosXL), which is not supported.",
            hint="Choose SDXL or a model made from it.",
        )
    try:
        return variant_of(config)
    except ValueError as error:
        raise CheckpointError(
            f"'{header.path.name}' is made like Stable Diffusion, but cannot be drawn with.",
            why=f"Its UNet is for other inputs: {error}.",
            hint="Choose a model that draws from a prompt, or an inpainting model.",
        ) from error


def read_trained(header: CheckpointHeader, variant: Variant, config: UNetConfig) -> Trained:
    """What is stated; else v for SD 2 that paints no masks, whose full version predicts that, else eps."""
    return stated(header) or Trained("v" if is_in_doubt(header, variant, config) else "eps")


def is_in_doubt(header: CheckpointHeader, variant: Variant, config: UNetConfig) -> bool:
    """Whether only the weights can tell what it predicts: SD 2.x exists both ways."""
    doubtful = variant.full_name == "sd2" and config.model_channels == FULL_WIDTH
    return doubtful and stated(header) is None


def _label(variant: Variant, config: UNetConfig, trained: Trained) -> str:
    notes = []
    if variant.name != "sd2" and trained.prediction == "v":
        notes.append("v-prediction")
    if trained.zero_snr:
        notes.append("zero terminal SNR")
    if config.model_channels not in (FULL_WIDTH, 384):
        notes.append(f"width {config.model_channels}")
    return f"{variant.label} ({', '.join(notes)})" if notes else variant.label


def _sizes(config: UNetConfig) -> dict[str, Any]:
    return {
        "in_channels": config.in_channels,
        "model_channels": config.model_channels,
        "context_size": config.context_size,
        "label_size": config.label_size,
        "input_blocks": len(config.input_blocks),
        "transformer_blocks": sum(layer.depth for layer in config.layers()),
        "latent_channels": config.out_channels,
    }


def _missing(variant: Variant, parts: Iterable[Part]) -> tuple[str, ...]:
    held = {(part.kind, part.width) for part in parts}
    wanted = {**variant.texts, AUTOENCODER: 4}
    return tuple(kind for kind, width in wanted.items() if (kind, width) not in held)


def _preferred_options(header: CheckpointHeader, variant: Variant, trained: Trained) -> dict[str, Any]:
    options: dict[str, Any] = {"zero_snr": True} if trained.zero_snr else {}
    if variant.is_xl and header.configs.get("", {}).get("force_zeros_for_empty_prompt") is False:
        options["zero_empty_negative"] = False
    return options
