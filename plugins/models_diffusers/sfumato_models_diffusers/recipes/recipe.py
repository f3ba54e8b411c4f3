"""What a recipe tells of a family. Imports no torch: detection reads recipes too."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from sfumato.models import LatentFormat
from sfumato.noise_schedule import dynamic_shift
from sfumato.request import RequestDefaults

if TYPE_CHECKING:
    from torch import Tensor

PATCH = 2
"""Latents along each side that make up one token, for all families so far."""

_KNOWN_LATENTS = {(16, 0.3611, 0.1159): "flux", (4, 0.13025, 0.0): "sdxl"}
"""By their channels, scale and shift."""

Prompt = tuple["Tensor", ...]
"""An encoded prompt: tensors [1, ...]; those of a batch are stacked along the first axis."""


class Recipe(ABC):
    """How diffusers' pipeline of one family reads prompts, and calls its transformer and autoencoder.

    Whatever the pipeline does itself is called there. The autoencoder is that of Stable Diffusion and Flux
    (`AutoencoderKL`) unless a recipe says otherwise.

    Attributes:
        name: The variant in `ModelInfo`.
        label: What people call the family.
        pipeline_class: As model_index.json names it.
        transformer_class: As transformer/config.json names it.
        text_length: Tokens of a prompt that are read at most.
        latents: `LatentFormat.name`, unless the autoencoder is known to be another family's.
    """

    name: ClassVar[str]
    label: ClassVar[str]
    pipeline_class: ClassVar[str]
    transformer_class: ClassVar[str]
    text_length: ClassVar[int] = 512
    latents: ClassVar[str] = ""

    @abstractmethod
    def defaults(self, configs: Mapping[str, Mapping[str, Any]]) -> RequestDefaults:
        """What its makers recommend, by the configs of the folder ("" is model_index.json)."""

    @abstractmethod
    def widths(self, config: Mapping[str, Any]) -> Mapping[str, int]:
        """How many outputs some layers of the transformer have by its config, to see that its weights fit."""

    @abstractmethod
    def encode_prompt(self, pipeline: Any, text: str, length: int, *, is_negative: bool) -> Prompt:
        """Run the text encoder."""

    @abstractmethod
    def velocity(self, pipeline: Any, x: Tensor, sigma: float, prompt: Prompt) -> Tensor:
        """The direction from clean latents to noise, for latents x [b, c, h, w] at sigma in 0..1."""

    def shift(self, scheduler: Mapping[str, Any], tokens: int, steps: int) -> float:
        """The time shift that the folder's scheduler prescribes for so many tokens of a picture."""
        if not scheduler.get("use_dynamic_shifting"):
            return float(scheduler.get("shift", 1.0))
        shift = dynamic_shift(
            tokens,
            base_shift=scheduler.get("base_shift", 0.5),
            max_shift=scheduler.get("max_shift", 1.15),
            base_tokens=scheduler.get("base_image_seq_len", 256),
            max_tokens=scheduler.get("max_image_seq_len", 4096),
        )
        return math.log(shift) if scheduler.get("time_shift_type") == "linear" else shift

    def latent_format(self, pipeline: Any) -> LatentFormat:
        """Of the latents that the engine sees."""
        config = pipeline.vae.config
        side = pipeline.vae_scale_factor
        return LatentFormat(
            channels=config.latent_channels,
            pixels_per_latent=side,
            size_multiple=side * PATCH,
            name=known_latents(config) or self.latents,
        )

    def original_name(self, layer: str) -> str | None:
        """What the makers' own code calls a layer of diffusers' transformer; None where that is the same.

        Adapters in that layout may have queries, keys and values as one layer: what ends in q, k and v is
        found by the name that ends in qkv.
        """
        return None

    def decode(self, pipeline: Any, latents: Tensor) -> Tensor:
        """Latents [b, c, h, w] to pixels [b, 3, H, W] in -1..1."""
        config = pipeline.vae.config
        raw = latents / config.scaling_factor + (config.shift_factor or 0.0)
        pixels: Tensor = pipeline.vae.decode(raw.to(pipeline.vae.dtype), return_dict=False)[0]
        return pixels

    def encode(self, pipeline: Any, pixels: Tensor) -> Tensor:
        """Pixels [b, 3, H, W] in -1..1 to latents [b, c, h, w]."""
        config = pipeline.vae.config
        raw: Tensor = pipeline.vae.encode(pixels.to(pipeline.vae.dtype)).latent_dist.mode().float()
        return (raw - (config.shift_factor or 0.0)) * config.scaling_factor


def known_latents(config: Any) -> str:
    """The name of the latents of an `AutoencoderKL` taken over from another family; empty if it was not.

    Its sizes and scaling tell.
    """
    if tuple(config.block_out_channels) != (128, 256, 512, 512):
        return ""
    scaling = (config.latent_channels, config.scaling_factor, config.shift_factor or 0.0)
    return _KNOWN_LATENTS.get(scaling, "")


def times(x: Tensor, sigma: float) -> Tensor:
    """The noise level once for each picture of a batch, float32: [b]."""
    import torch

    return torch.full((len(x),), sigma, dtype=torch.float32, device=x.device)


def latent_mean_and_deviation(
    mean: Sequence[float] | Tensor, deviation: Sequence[float] | Tensor, latents: Tensor
) -> tuple[Tensor, Tensor]:
    """Statistics by channel, made to fit latents [b, c, h, w]."""
    import torch

    shape = (1, latents.shape[1], 1, 1)
    first, second = (
        torch.as_tensor(values, dtype=latents.dtype, device=latents.device).view(shape)
        for values in (mean, deviation)
    )
    return first, second
