"""Stable Diffusion in a whole studio: what people ask for by fields, found by its plugins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image

from sfumato import Studio
from sfumato_models_sd.schedule import trained_schedule
from sfumato_samplers.schedules.karras import karras

from ..tiny_models import sd
from .drawing import Wish, pipeline

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # in diffusers

WISH = Wish()
SEED = 7


def drawn(model: Path, folder: Path, **fields: Any) -> np.ndarray:
    """The picture in 0..255 that a studio makes of the wish."""
    asked: dict[str, Any] = {
        "prompt": WISH.prompt,
        "negative_prompt": WISH.negative.replace("(", r"\(").replace(")", r"\)"),
        "cfg_scale": WISH.cfg_scale,
        "sampler": "euler",
        "scheduler": "karras",
        "steps": WISH.steps,
        "seed": SEED,
        "width": WISH.width,
        "height": WISH.height,
        "model": str(model),
    }
    result = Studio().generate(asked.pop("prompt"), output_folder=folder / "out", **asked | fields)
    with Image.open(result.images[0].path) as image:
        return np.asarray(image).astype(int)


def levels(steps: int) -> list[float]:
    return karras(steps, trained_schedule(zero_snr=False), {"rho": 7.0, "sigma_min": 0.0, "sigma_max": 0.0})


def by_diffusers(pipe: Any, sigmas: list[float], latents: torch.Tensor, **given: Any) -> Any:
    pipe.scheduler = diffusers.EulerDiscreteScheduler.from_config(
        pipe.scheduler.config, timestep_spacing="linspace"
    )
    return pipe(
        prompt=WISH.prompt,
        negative_prompt=WISH.negative,
        guidance_scale=WISH.cfg_scale,
        sigmas=sigmas,
        latents=latents,
        width=WISH.width,
        height=WISH.height,
        **given,
    ).images


def noise() -> torch.Tensor:
    generator = torch.Generator().manual_seed(SEED)
    return torch.randn(1, 4, WISH.height // 8, WISH.width // 8, generator=generator)


@pytest.mark.parametrize("tiny", [sd.SD15, sd.SD21_V, sd.SDXL], ids=["sd15", "sd21_v", "sdxl"])
def test_a_request_gives_the_picture_of_diffusers(tiny: sd.TinySD, tmp_path: Path) -> None:
    expected = by_diffusers(pipeline(tiny, tmp_path), levels(WISH.steps), noise(), output_type="np")
    found = drawn(sd.write_single_file(tiny, tmp_path, "model", inside=""), tmp_path)
    assert np.abs(found - expected[0] * 255).max() <= 1


@pytest.mark.parametrize(("tiny", "table"), [(sd.SDXL, "sdxl"), (sd.SD15, "sd15")], ids=["sdxl", "sd15"])
def test_align_your_steps_takes_the_table_of_the_family(tiny: sd.TinySD, table: str, tmp_path: Path) -> None:
    path = sd.write_single_file(tiny, tmp_path, "model", inside="")
    found = drawn(path, tmp_path, scheduler="align_your_steps", steps=3)
    given = {"sampler_options": {"table": table}}
    assert np.array_equal(found, drawn(path, tmp_path, scheduler="align_your_steps", steps=3, **given))
    other = {"sampler_options": {"table": "sd15" if table == "sdxl" else "sdxl"}}
    assert not np.array_equal(found, drawn(path, tmp_path, scheduler="align_your_steps", steps=3, **other))


def test_what_is_left_open_comes_from_the_family(tmp_path: Path) -> None:
    path = sd.write_sdxl(tmp_path, inside="")
    open_fields = {"sampler": None, "scheduler": None, "steps": None, "cfg_scale": None, "clip_skip": None}
    stated = {"sampler": "dpmpp_2m", "scheduler": "karras", "steps": 25, "cfg_scale": 7.0, "clip_skip": 2}
    assert (drawn(path, tmp_path, **open_fields) == drawn(path, tmp_path, **stated)).all()


def test_a_folder_and_a_file_of_the_same_weights_draw_the_same(tmp_path: Path) -> None:
    folder = sd.write_folder(sd.SDXL, tmp_path / "folder")
    file = sd.write_sdxl(tmp_path, inside="")
    assert np.abs(drawn(folder, tmp_path) - drawn(file, tmp_path)).max() <= 1


def test_the_refiner_takes_over_within_a_request(tmp_path: Path) -> None:
    sigmas, middle = levels(WISH.steps), WISH.steps // 2
    base, refiner = pipeline(sd.SDXL, tmp_path / "base"), pipeline(sd.REFINER, tmp_path / "refiner")
    half = by_diffusers(base, sigmas[: middle + 1], noise(), output_type="latent")
    refiner.scheduler = diffusers.EulerDiscreteScheduler.from_config(
        refiner.scheduler.config, timestep_spacing="linspace"
    )
    refiner.scheduler.set_timesteps(sigmas=sigmas[middle:])
    refiner.scheduler.set_timesteps = lambda *_, **__: None
    expected = refiner(
        prompt=WISH.prompt,
        negative_prompt=WISH.negative,
        guidance_scale=WISH.cfg_scale,
        num_inference_steps=WISH.steps - middle,
        image=half,
        denoising_start=0.0001,  # above 0 it adds no noise
        strength=1.0,
        output_type="np",
    ).images[0]
    path = sd.write_sdxl(tmp_path, inside="")
    other = sd.write_refiner(tmp_path, inside="")
    found = drawn(path, tmp_path, refiner={"model": str(other), "switch_at": 0.5})
    assert expected.std() > 0.02
    assert np.abs(found - expected * 255).max() <= 1
