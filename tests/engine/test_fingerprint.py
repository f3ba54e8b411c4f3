"""Fingerprints of requests: equal where the same memory and time are needed, and only there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sfumato.request import GenerationRequest
from sfumato_engine.fingerprint import fingerprint_of
from sfumato_engine.resolution import resolve
from sfumato_engine.settings import EngineSettings

from .conftest import Workbench

ORDINARY: dict[str, Any] = {
    "prompt": "a red apple <lora:first:0.8>",
    "negative_prompt": "a bowl",
    "cfg_scale": 3.0,
    "hires": {"scale": 2.0},
}


def fingerprint(workbench: Workbench, settings: EngineSettings | None = None, **fields: Any) -> str:
    request = GenerationRequest(**{**ORDINARY, **fields})
    return fingerprint_of(resolve(request, workbench.context), settings or EngineSettings())


@pytest.mark.parametrize(
    "fields",
    [
        {"prompt": "(two:1.4) green pears <lora:first:0.3>"},
        {"negative_prompt": "other words", "seed": 7},
        {"cfg_scale": 4.5},
        {"scheduler": "karras"},
        {"sampler": "euler", "variation_strength": 0.0},
    ],
)
def test_other_words_seeds_and_strengths_need_the_same(workbench: Workbench, fields: dict[str, Any]) -> None:
    assert fingerprint(workbench, **fields) == fingerprint(workbench)


@pytest.mark.parametrize(
    "fields",
    [
        {"prompt": "a red apple"},
        {"prompt": "a red apple <lora:first:0.8> <lora:second:1>"},
        {"prompt": "a red apple <lora:second:0.8>"},
        {"prompt": "a red apple AND a pear <lora:first:0.8>"},
        {"cfg_scale": 1.0},
        {"guidance_end": 0.5},
        {"sampler": "heun"},
        {"steps": 7},
        {"width": 64},
        {"batch_size": 2},
        {"count": 2},
        {"parts": {"autoencoder": "other"}},
        {"hires": None},
        {"hires": {"scale": 2.0, "prompt": "a red apple"}},
        {"hires": {"scale": 2.0, "prompt": "a red apple <lora:first:1> <lora:second:1>"}},
        {"hires": {"scale": 2.0, "cfg_scale": 1.0}},
        {"hires": {"scale": 2.0, "upscaler": "latent_nearest"}},
        {"hires": {"scale": 2.0, "steps": 2}},
        {"refiner": {"model": "gauss", "switch_at": 0.5}},
        {"face_restorer": "mender"},
    ],
)
def test_what_changes_memory_or_time_is_told_apart(workbench: Workbench, fields: dict[str, Any]) -> None:
    assert fingerprint(workbench, **fields) != fingerprint(workbench)


def test_where_a_picture_is_changed_the_share_of_steps_counts(workbench: Workbench, tmp_path: Path) -> None:
    def changing(strength: float, **fields: Any) -> str:
        start = {"image": tmp_path / "start.png", "denoising_strength": strength}
        return fingerprint(workbench, img2img=start, width=32, height=32, steps=10, hires=None, **fields)

    drawn = fingerprint(workbench, width=32, height=32, steps=10, hires=None)
    mask = {"mask": tmp_path / "mask.png"}
    found = [
        drawn,
        changing(0.3),
        changing(0.8),
        changing(0.8, inpaint=mask),
        changing(0.8, outpaint={"left": 8}),
    ]
    assert len(set(found)) == len(found)
    assert changing(0.8) == changing(0.81)


@pytest.mark.parametrize(
    "changed",
    [
        {"dtype": "float32"},
        {"quantisation": "nf4"},
        {"keep_dequantised": 100},
        {"cfg_batching": "two_passes"},
        {"vae_tiling": "always"},
        {"vae_tile": 256},
        {"memory_budget": 500},
        {"preview_decoder": "colours"},
    ],
)
def test_settings_that_change_what_is_taken_count(workbench: Workbench, changed: dict[str, Any]) -> None:
    assert fingerprint(workbench, EngineSettings(**changed)) != fingerprint(workbench)
    assert fingerprint(workbench, EngineSettings(keep_conditioning=3)) == fingerprint(workbench)
