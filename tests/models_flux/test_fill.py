"""Flux.1 Fill, which sees the picture it paints into, beside diffusers' FluxFillPipeline."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from sfumato.errors import BadInput
from sfumato.models import Placement, PromptText
from sfumato.noise_schedule import shift_sigma
from sfumato.testing import ModelFamilyContract
from sfumato_models_flux.family import FluxFamily
from sfumato_models_flux.model import FluxModel
from sfumato_models_flux.transformer import pack

from ..tiny_models import TinyFlux, library_of, write_parts, write_transformer
from ..tiny_models.files import save
from .drawing import EIGHT_BIT_STEP, Wish

FILL = TinyFlux(guidance=True, picture_channels=320)
WISH = replace(Wish(), guidance=30.0)


def load(folder: Path) -> FluxModel:
    write_parts(FILL, folder)
    library = library_of(folder)
    info = library.detect(write_transformer(FILL, folder / "fill.safetensors"))
    return FluxFamily().load(info, library, Placement(dtype="float32"))


def picture_and_mask() -> tuple[Tensor, Tensor]:
    """Random pixels, and a mask whose edges lie within latents."""
    pixels = torch.rand(1, 3, WISH.height, WISH.width, generator=torch.Generator().manual_seed(3))
    mask = torch.zeros(1, 1, WISH.height, WISH.width)
    mask[..., 10:45, 21:70] = 1
    return pixels, mask


def test_a_picture_is_painted_into_as_by_diffusers(tmp_path: Path) -> None:
    diffusers = pytest.importorskip("diffusers")
    from ..tiny_models.oracle import flux_pipeline

    model = load(tmp_path)
    parts = flux_pipeline(FILL, tmp_path / "tokenizers").components
    pipeline = diffusers.FluxFillPipeline(**{name: part for name, part in parts.items() if part is not None})
    _encode_the_mean(pipeline.vae)
    expected = painted_by_diffusers(pipeline)
    found = painted(model)
    assert expected.std() > 0.02
    assert float((found - expected).abs().max()) <= EIGHT_BIT_STEP
    pixels, mask = picture_and_mask()
    other = painted(model, 1 - pixels, mask)
    assert float((found - other).abs().max()) > 5 * EIGHT_BIT_STEP, "it must look at the picture"


def _encode_the_mean(vae: Any) -> None:
    """Diffusers draws a random latent around the mean; with next to no variance it is the mean."""
    with torch.no_grad():
        vae.encoder.conv_out.weight[vae.config.latent_channels :] = 0
        vae.encoder.conv_out.bias[vae.config.latent_channels :] = -30


def painted(model: FluxModel, *picture: Tensor) -> Tensor:
    """Euler's method, as the pipeline has it."""
    pixels, mask = picture or picture_and_mask()
    options = {"guidance": WISH.guidance, "t5_length": WISH.t5_length}
    prompt = [model.condition(PromptText(([(WISH.prompt, 1.0)],)), options)]
    seen = model.see(pixels * (1 - mask) + 0.5 * mask, mask)
    shift = model.noise_schedule(WISH.width, WISH.height, options).shift
    sigmas = [shift_sigma(1 - step / WISH.steps, shift) for step in range(WISH.steps)] + [0.0]
    x = WISH.noise(16)
    for sigma, target in pairwise(sigmas):
        denoised = model.denoise(x, sigma, prompt, options, picture=seen)
        x = x + (x - denoised) / sigma * (target - sigma)
    return model.decode(x)


def painted_by_diffusers(pipeline: Any) -> Tensor:
    pixels, mask = picture_and_mask()
    pipeline.set_progress_bar_config(disable=True)
    return pipeline(
        prompt=WISH.prompt,
        image=pixels,
        mask_image=mask,
        guidance_scale=WISH.guidance,
        width=WISH.width,
        height=WISH.height,
        num_inference_steps=WISH.steps,
        latents=pack(WISH.noise(16)),
        max_sequence_length=WISH.t5_length,
        output_type="pt",
    ).images


def test_a_batch_of_prompts_of_different_lengths_sees_one_picture(tmp_path: Path) -> None:
    model = load(tmp_path)
    one = PromptText(([("a red apple", 1.0)],))
    two = PromptText((*one.chunks, [("the blue one", 1.0)]))
    prompts = [model.condition(text, {}) for text in (one, two)]
    x, seen = torch.cat([WISH.noise(16), -WISH.noise(16)]), model.see(*picture_and_mask())
    together = model.denoise(x, 0.7, prompts, {}, picture=seen)
    for i, prompt in enumerate(prompts):
        alone = model.denoise(x[i : i + 1], 0.7, [prompt], {}, picture=seen)
        torch.testing.assert_close(together[i : i + 1], alone)


def test_without_a_picture_it_says_what_it_needs(tmp_path: Path) -> None:
    model = load(tmp_path)
    prompt = model.condition(PromptText(([("a red apple", 1.0)],)), {})
    with pytest.raises(BadInput, match="paints into a picture"):
        model.denoise(WISH.noise(16), 0.7, [prompt], {})


class TestFill(ModelFamilyContract):
    name = "flux"
    size = (64, 32)

    def write_checkpoint(self, folder: Path) -> Path:
        write_parts(FILL, folder)
        return write_transformer(FILL, folder / "fill.safetensors")

    def write_part(self, folder: Path) -> tuple[str, Path]:
        return "t5_encoder", save(folder / "other.safetensors", replace(FILL, seed=9).t5())
