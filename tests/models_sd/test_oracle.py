"""Pictures and single estimates are those of diffusers' own pipelines."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch

from ..tiny_models import sd
from .drawing import Wish, assert_same_picture, denoised_by, encoded, euler, pipeline, single_file

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # in diffusers

WISH = Wish()
BLIND = {
    "sd15": sd.SD15,
    "sd21": sd.SD21,
    "sd21_v": sd.SD21_V,
    "sdxl": sd.SDXL,
}


def levels(pipe: Any, steps: int) -> tuple[list[float], float]:
    """The pipeline's noise levels, and what it scales noise by to begin with."""
    pipe.scheduler.set_timesteps(steps)
    return pipe.scheduler.sigmas.tolist(), float(pipe.scheduler.init_noise_sigma)


def asked(wish: Wish) -> dict[str, Any]:
    return {
        "prompt": wish.prompt,
        "negative_prompt": wish.negative,
        "guidance_scale": wish.cfg_scale,
        "num_inference_steps": wish.steps,
        "latents": wish.noise(),
        "output_type": "pt",
    }


@pytest.mark.parametrize("tiny", BLIND.values(), ids=BLIND)
def test_pictures_are_those_of_diffusers(tiny: sd.TinySD, tmp_path: Path) -> None:
    pipe, model = pipeline(tiny, tmp_path), single_file(tiny, tmp_path)
    sigmas, start = levels(pipe, WISH.steps)
    expected = pipe(**asked(WISH), width=WISH.width, height=WISH.height).images
    found = euler(denoised_by(model, WISH), WISH.noise() * start, sigmas)
    assert_same_picture(model.decode(found), expected)


def test_sdxl_has_zeros_for_an_empty_negative_prompt(tmp_path: Path) -> None:
    wish = replace(WISH, negative="")
    pipe, model = pipeline(sd.SDXL, tmp_path), single_file(sd.SDXL, tmp_path)
    sigmas, start = levels(pipe, wish.steps)
    given = asked(wish) | {"negative_prompt": None}
    expected = pipe(**given, width=wish.width, height=wish.height).images
    found = euler(denoised_by(model, wish), wish.noise() * start, sigmas)
    assert_same_picture(model.decode(found), expected)


def test_sdxl_may_encode_an_empty_negative_prompt(tmp_path: Path) -> None:
    wish = replace(WISH, negative="")
    pipe, model = pipeline(sd.SDXL, tmp_path), single_file(sd.SDXL, tmp_path)
    sigmas, start = levels(pipe, wish.steps)
    expected = pipe(**asked(wish), width=wish.width, height=wish.height).images  # "" is no None
    denoise = denoised_by(model, wish, zero_empty_negative=False)
    assert_same_picture(model.decode(euler(denoise, wish.noise() * start, sigmas)), expected)


def test_sdxl_is_told_sizes(tmp_path: Path) -> None:
    pipe, model = pipeline(sd.SDXL, tmp_path), single_file(sd.SDXL, tmp_path)
    sigmas, start = levels(pipe, WISH.steps)
    expected = pipe(
        **asked(WISH),
        width=WISH.width,
        height=WISH.height,
        original_size=(300, 200),
        crops_coords_top_left=(11, 22),
        target_size=(500, 600),
        negative_original_size=(300, 200),
        negative_crops_coords_top_left=(11, 22),
        negative_target_size=(500, 600),
    ).images
    sizes = {"original_height": 300, "original_width": 200, "crop_top": 11, "crop_left": 22}
    sizes |= {"target_height": 500, "target_width": 600}
    found = euler(denoised_by(model, WISH, **sizes), WISH.noise() * start, sigmas)
    assert_same_picture(model.decode(found), expected)


def test_v_prediction_up_to_zero_terminal_snr(tmp_path: Path) -> None:
    """DDIM is Euler on noise levels; diffusers begins at an infinite one, the field at 4518."""
    pipe, model = pipeline(sd.SDXL_V, tmp_path), single_file(sd.SDXL_V, tmp_path)
    pipe.scheduler = diffusers.DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
    )
    expected = pipe(**asked(WISH), width=WISH.width, height=WISH.height).images
    assert model.info.options == {"zero_snr": True}
    table = model.noise_schedule(WISH.width, WISH.height, {}).sigmas
    sigmas = [*(table[step] for step in pipe.scheduler.timesteps), 0.0]
    assert len(sigmas) == WISH.steps + 1
    assert sigmas[0] == table[-1] == pytest.approx(4518.76, abs=0.01)
    found = euler(denoised_by(model, WISH), WISH.noise() * sigmas[0], sigmas)
    assert_same_picture(model.decode(found), expected)


@pytest.mark.parametrize("tiny", [sd.SD15_INPAINT, sd.SDXL_INPAINT], ids=["sd15", "sdxl"])
def test_inpainting_models_paint_what_diffusers_paints(tiny: sd.TinySD, tmp_path: Path) -> None:
    pipe, model = pipeline(tiny, tmp_path), single_file(tiny, tmp_path)
    pixels, mask = WISH.picture()
    sampled = pipe.vae.encode

    def mean(images: torch.Tensor) -> Any:
        found = sampled(images)
        found.latent_dist.sample = lambda *_, **__: found.latent_dist.mean  # ours takes no chance
        return found

    pipe.vae.encode = mean
    sigmas, start = levels(pipe, WISH.steps)
    given = {"image": pixels, "mask_image": mask, "strength": 1.0}
    expected = pipe(**asked(WISH), **given, width=WISH.width, height=WISH.height).images
    seen = model.see(pixels * (1 - mask) + 0.5 * mask, mask)
    found = euler(denoised_by(model, WISH, picture=seen), WISH.noise() * start, sigmas)
    assert_same_picture(model.decode(found), expected)


def test_the_refiner_goes_on_where_the_base_model_ends(tmp_path: Path) -> None:
    base, refiner = pipeline(sd.SDXL, tmp_path / "base"), pipeline(sd.REFINER, tmp_path / "refiner")
    model, ending = single_file(sd.SDXL, tmp_path / "base"), single_file(sd.REFINER, tmp_path / "refiner")
    size = {"width": WISH.width, "height": WISH.height}
    half = base(**asked(WISH) | {"output_type": "latent"}, **size, denoising_end=0.5).images
    given = {name: value for name, value in asked(WISH).items() if name != "latents"}
    expected = refiner(**given, image=half, denoising_start=0.5).images

    sigmas, start = levels(base, WISH.steps)
    middle = WISH.steps // 2
    x = euler(denoised_by(model, WISH), WISH.noise() * start, sigmas[: middle + 1])
    assert torch.allclose(x, half, atol=1e-3)
    x = euler(denoised_by(ending, WISH), x, sigmas[middle:])
    assert_same_picture(ending.decode(x), expected)


@pytest.mark.parametrize("tiny", [*BLIND.values(), sd.REFINER], ids=[*BLIND, "refiner"])
def test_one_estimate_is_what_diffusers_unet_makes_of_it(tiny: sd.TinySD, tmp_path: Path) -> None:
    pipe, model = pipeline(tiny, tmp_path), single_file(tiny, tmp_path)
    condition = encoded(model, WISH.prompt)
    added = None
    if tiny.is_xl:
        times = [64.0, 96.0, 0.0, 0.0, *([6.0] if tiny is sd.REFINER else [64.0, 96.0])]
        added = {"text_embeds": condition.pooled, "time_ids": torch.tensor([times])}
    table = model.noise_schedule(WISH.width, WISH.height, {})
    for step in (999, 500, 3):
        alpha = pipe.scheduler.alphas_cumprod[step]
        sigma = table.sigmas[step]
        assert float(((1 - alpha) / alpha).sqrt()) == pytest.approx(sigma, rel=1e-4)
        x = WISH.noise() * (sigma**2 + 1) ** 0.5
        noisy = WISH.noise()
        output = pipe.unet(noisy, step, condition.context, added_cond_kwargs=added).sample
        if tiny.prediction == "epsilon":
            expected = (noisy - (1 - alpha).sqrt() * output) / alpha.sqrt()
        else:
            expected = alpha.sqrt() * noisy - (1 - alpha).sqrt() * output
        found = model.denoise(x, sigma, [condition], {})
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
