"""A whole picture by a loaded model with the plainest of samplers, beside one by diffusers' pipeline."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from sfumato.models import PromptText
from sfumato.noise_schedule import shift_sigma
from sfumato_models_flux.model import FluxModel
from sfumato_models_flux.transformer import pack

EIGHT_BIT_STEP = 1 / 255


@dataclass(frozen=True)
class Wish:
    """What to draw; both sides get the same."""

    prompt: str = "A red apple, the blue one!"
    negative: str = "a (bad) thing"
    cfg_scale: float = 1.0
    guidance: float = 3.5
    width: int = 96
    height: int = 64
    steps: int = 4
    t5_length: int = 16

    def noise(self, channels: int) -> Tensor:
        """Latents [1, c, h, w]."""
        generator = torch.Generator().manual_seed(7)
        return torch.randn(1, channels, self.height // 8, self.width // 8, generator=generator)


def picture(model: FluxModel, wish: Wish, **options: Any) -> Tensor:
    """Pixels [1, 3, H, W] in 0..1, by Euler steps on evenly spaced times under the model's own shift."""
    options = {"guidance": wish.guidance, "t5_length": wish.t5_length, **options}
    positive = [model.condition(PromptText(([(wish.prompt, 1.0)],)), options)]
    negative = [model.condition(PromptText(([(wish.negative, 1.0)],)), options)]
    shift = model.noise_schedule(wish.width, wish.height, options).shift
    sigmas = [shift_sigma(1 - step / wish.steps, shift) for step in range(wish.steps)] + [0.0]
    x = wish.noise(model.latent_format.channels)
    for sigma, target in pairwise(sigmas):
        denoised = model.denoise(x, sigma, positive, options)
        if wish.cfg_scale != 1:
            denoised = model.denoise(x, sigma, negative, options).lerp(denoised, wish.cfg_scale)
        x = x + (x - denoised) / sigma * (target - sigma)
    return model.decode(x)


def picture_by_diffusers(pipeline: Any, wish: Wish, channels: int = 16) -> Tensor:
    """Pixels [1, 3, H, W] in 0..1."""
    return pipeline(
        prompt=wish.prompt,
        negative_prompt=wish.negative,
        true_cfg_scale=wish.cfg_scale,
        guidance_scale=wish.guidance,
        width=wish.width,
        height=wish.height,
        num_inference_steps=wish.steps,
        latents=pack(wish.noise(channels)),
        max_sequence_length=wish.t5_length,
        output_type="pt",
    ).images


def assert_same_picture(model: FluxModel, pipeline: Any, wish: Wish, **options: Any) -> None:
    """At most one step of 8 bits apart, and a picture with something in it."""
    expected = picture_by_diffusers(pipeline, wish, model.latent_format.channels)
    found = picture(model, wish, **options)
    assert expected.std() > 0.02
    assert float((found - expected).abs().max()) <= EIGHT_BIT_STEP
