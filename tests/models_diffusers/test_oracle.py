"""A folder drawn by the studio gives the picture that diffusers' own pipeline gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sfumato.settings import Settings
from sfumato.studio import Studio

pytest.importorskip("diffusers")

SEED, WIDTH, HEIGHT, STEPS = 11, 96, 64, 4
PROMPT, NEGATIVE = "a red apple on a table", "blue"
LENGTHS = {"z_image": 80, "flux2_klein": 80, "lumina2": 256, "sana": 60, "aura_flow": 40}
"""Of prompts: the tiny tokenizers make a token of each byte. Qwen-Image's pipeline pads to none."""
EVENLY = [1 - step / STEPS for step in range(STEPS)]
CASES: dict[str, tuple[int, int, dict[str, Any], dict[str, Any]]] = {
    # channels of the latents; pixels behind one; what the pipeline gets; what the studio gets
    "qwen_image": (4, 8, {"true_cfg_scale": 1.0}, {"cfg_scale": 1.0}),
    "z_image": (4, 8, {"guidance_scale": 2.5, "negative_prompt": NEGATIVE}, {"cfg_scale": 3.5}),
    "flux2_klein": (16, 16, {"guidance_scale": 1.0}, {"cfg_scale": 1.0}),
    "lumina2": (
        4,
        8,
        {"guidance_scale": 3.0, "negative_prompt": NEGATIVE, "cfg_normalization": False},
        {"cfg_scale": 3.0},
    ),
    "aura_flow": (
        4,
        8,
        {"guidance_scale": 3.0, "negative_prompt": NEGATIVE, "sigmas": EVENLY},
        {"cfg_scale": 3.0},
    ),
    "sana": (
        4,
        2,
        {
            "guidance_scale": 3.0,
            "negative_prompt": NEGATIVE,
            "use_resolution_binning": False,
            "sigmas": EVENLY,
        },
        {"cfg_scale": 3.0},
    ),
}


@pytest.mark.parametrize("family", CASES)
def test_a_folder_draws_as_diffusers_does(family: str, tmp_path: Path) -> None:
    from ..tiny_models import diffusers_families

    pipeline = getattr(diffusers_families, family)()
    channels, side, wanted, fields = CASES[family]
    if family in LENGTHS:
        wanted = {**wanted, "max_sequence_length": LENGTHS[family]}
        fields = {**fields, "model_options": {"text_length": LENGTHS[family]}}
    folder = diffusers_families.write(pipeline, tmp_path / "models" / "checkpoints" / family)
    shape = (1, channels, HEIGHT // side, WIDTH // side)
    expected = picture_by_diffusers(pipeline, shape, wanted)
    found = picture_by_the_studio(folder, tmp_path, fields)
    assert expected.std() > 5
    assert np.abs(found.astype(int) - expected.astype(int)).max() <= 1


def picture_by_diffusers(pipeline: Any, shape: tuple[int, ...], wanted: dict[str, Any]) -> np.ndarray:
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(SEED))
    if type(pipeline).__name__.startswith("Qwen"):
        noise = pipeline._pack_latents(noise, *shape)
    picture = pipeline(
        prompt=PROMPT,
        width=WIDTH,
        height=HEIGHT,
        num_inference_steps=STEPS,
        latents=noise,
        output_type="np",
        **wanted,
    ).images[0]
    return (picture * 255).round().astype(np.uint8)


def picture_by_the_studio(folder: Path, tmp_path: Path, fields: dict[str, Any]) -> np.ndarray:
    studio = Studio(Settings.load(environ={}, file=tmp_path / "settings.toml"))
    result = studio.generate(
        PROMPT,
        negative_prompt=NEGATIVE,
        model=str(folder),
        seed=SEED,
        noise_source="cpu",
        width=WIDTH,
        height=HEIGHT,
        steps=STEPS,
        output_folder=tmp_path / "out",
        **fields,
    )
    with Image.open(result.images[0].path) as picture:
        return np.asarray(picture.convert("RGB"))
