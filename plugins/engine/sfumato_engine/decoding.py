"""Latents to pictures and back."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from sfumato.errors import SfumatoError
from sfumato.models import LoadedModel
from sfumato.tasks import TaskContext
from sfumato_engine.batching import decoded_side_by_side
from sfumato_engine.model_manager import ModelManager
from sfumato_engine.settings import EngineSettings
from sfumato_engine.tiled_autoencoder import (
    decode_tiled,
    encode_tiled,
    storage_for,
    tiled_memory,
    tiles_wanted,
)

LATENTS_HINT = "Lower weights and scales, or try: sfumato settings set engine.dtype float32"
DECODER_HINT = (
    "Compute the autoencoder (VAE) in bfloat16 or float32, by the model's option for it, or all parts by: "
    "sfumato settings set engine.dtype bfloat16"
)


def decoded_pixels(model: LoadedModel, latents: Tensor, context: TaskContext) -> Iterator[Tensor]:
    """The pictures of latents [b, c, h, w], each [3, H, W] in 0..1, float32; in parts where it must be."""
    b, _, h, w = latents.shape
    for part in latents.split(decoded_side_by_side(b, b * h * w)):
        pixels = _decode(model, part, context)
        check_finite(pixels, DECODER_HINT)
        yield from pixels


def _decode(model: LoadedModel, latents: Tensor, context: TaskContext) -> Tensor:
    settings: EngineSettings = context.settings.engine
    side = model.latent_format.pixels_per_latent
    width, height = latents.shape[-1] * side, latents.shape[-2] * side
    residency = ModelManager.of(context.workspace, settings).residency(settings)
    available = residency.spare("decoding", model)
    needed = model.decoding_memory(width, height, len(latents))
    if not tiles_wanted(settings.vae_tiling, needed, available):
        residency.enter("decoding", [model], min(needed, available))
        return model.decode(latents)
    residency.enter("decoding", [model], min(needed, tiled_memory(model, width, height, settings.vae_tile)))
    storage = storage_for(model, width, height, settings.vae_tile, available)
    tile, overlap = settings.vae_tile, settings.vae_overlap
    return torch.cat(
        [
            decode_tiled(model, one, tile, overlap, cancel=context.cancel, storage=storage)
            for one in latents.split(1)
        ]
    )


def decoded(model: LoadedModel, latents: Tensor, context: TaskContext) -> Iterator[Tensor]:
    """The pictures of latents [b, c, h, w], each uint8 [H, W, 3] on the CPU."""
    for pixels in decoded_pixels(model, latents, context):
        colours = pixels.mul(255).round_().clamp_(0, 255).to(torch.uint8)
        yield colours.permute(1, 2, 0).contiguous().cpu()


def encoded(model: LoadedModel, pixels: Tensor, context: TaskContext) -> Tensor:
    """Pixels [b, 3, H, W] in 0..1 to latents [b, c, h, w], float32; in parts where memory is short.

    An encoder needs about what its decoder does.
    """
    settings: EngineSettings = context.settings.engine
    height, width = pixels.shape[-2:]
    residency = ModelManager.of(context.workspace, settings).residency(settings)
    available = residency.spare("decoding", model)
    needed = model.decoding_memory(width, height, len(pixels))
    if not tiles_wanted(settings.vae_tiling, needed, available):
        residency.enter("decoding", [model], min(needed, available))
        return model.encode(pixels).float()
    residency.enter("decoding", [model], min(needed, tiled_memory(model, width, height, settings.vae_tile)))
    storage = storage_for(model, width, height, settings.vae_tile, available)
    tile, overlap = settings.vae_tile, settings.vae_overlap
    return encode_tiled(model, pixels, tile, overlap, cancel=context.cancel, storage=storage).float()


def check_finite(numbers: Tensor, hint: str) -> None:
    """Raises `SfumatoError` for infinities or NaN in latents or pixels, which would be a black picture."""
    if not bool(torch.isfinite(numbers).all()):
        raise SfumatoError(
            "The picture came out as no numbers (NaN).",
            why="The compute type is too narrow for this model, or a prompt weight or scale is extreme.",
            hint=hint,
        )
