"""The model: pictures whose colours are normally distributed around what the words of the prompt mean."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor

from sfumato.errors import BadInput
from sfumato.models import LatentFormat, LayerTarget, ModelInfo, PromptText
from sfumato.noise_schedule import NoiseSchedule, flow_schedule

BYTES_A_LATENT = 3 * 4 * 4
"""Three channels of float32, and four tensors of that size while the model works."""


class SwatchModel:
    """Fulfils `sfumato.models.LoadedModel`.

    For colours N(m, s^2) and latents ``x = (1 - sigma) x0 + sigma noise`` the best estimate of x0 is known
    exactly, so this model needs no network: ``m + k (x - (1 - sigma) m)``, with
    ``k = (1 - sigma) s^2 / ((1 - sigma)^2 s^2 + sigma^2)``.

    Args:
        info: As detected.
        colours: What each word means, in -1..1: [words, 3].
        spread: The deviation s of a colour from its words: a single number.
        device: Where it computes, as torch names it.
    """

    latent_format = LatentFormat(channels=3, rgb_factors=((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)))

    def __init__(self, info: ModelInfo, colours: Tensor, spread: Tensor, device: str) -> None:
        self.info = info
        self.device = device
        self.files: Mapping[str, Sequence[Path]] = {"transformer": (info.path,)}
        self.networks: Mapping[str, Any] = {}
        self.colours = colours.to(device, torch.float32)
        self.spread = float(spread)

    def layer_names(self, part: str) -> Mapping[str, LayerTarget]:
        return {}  # it has no network that a LoRA could change

    def noise_schedule(self, width: int, height: int, options: Mapping[str, Any]) -> NoiseSchedule:
        return flow_schedule()

    def condition(self, text: PromptText, options: Mapping[str, Any]) -> Tensor:
        """The mean colour of the words by their weights: [3, 1, 1]."""
        mean, total = torch.zeros(3, device=self.device), 0.0
        for piece, weight in (pair for chunk in text.chunks for pair in chunk):
            for word in piece.lower().split():
                mean += weight * self.colours[zlib.crc32(word.encode()) % len(self.colours)]
                total += abs(weight)
        return (mean / total if total else mean)[:, None, None]

    def see(self, pixels: Tensor, mask: Tensor) -> NoReturn:
        raise BadInput(f"'{self.info.name}' sees no picture.", hint="Choose an inpainting model.")

    def denoise(
        self,
        x: Tensor,
        sigma: float,
        conditioning: Sequence[Tensor],
        options: Mapping[str, Any],
        *,
        picture: None = None,
    ) -> Tensor:
        mean, signal = torch.stack(list(conditioning)).to(x.dtype), 1 - sigma
        variance = (self.spread * options["variety"]) ** 2
        pull = signal * variance / (signal**2 * variance + sigma**2) if sigma else 1.0
        return mean + pull * (x - signal * mean)

    def decode(self, latents: Tensor) -> Tensor:
        pixels = torch.nn.functional.interpolate(latents.float(), scale_factor=8, mode="bilinear")
        return pixels.add(1).div(2).clamp(0, 1)

    def encode(self, pixels: Tensor) -> Tensor:
        return torch.nn.functional.avg_pool2d(pixels.mul(2).sub(1), 8)

    def sampling_memory(self, width: int, height: int, batch_size: int, options: Mapping[str, Any]) -> int:
        return BYTES_A_LATENT * batch_size * (width // 8) * (height // 8)

    def decoding_memory(self, width: int, height: int, batch_size: int) -> int:
        return BYTES_A_LATENT * batch_size * width * height
