"""What is drawn, and how its clean latents are caught."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sfumato import Studio
from sfumato.settings import Settings

from .models import SIDE

START = {"img2img": {"image": "picture.png", "denoising_strength": 0.7}}
INPAINT = {**START, "inpaint": {"mask": "mask.png", "blur": 2}}
SOFT = {**START, "inpaint": {"mask": "mask.png", "blur": 6, "soft": {}}}
HIRES = {"hires": {"scale": 1.5, "denoising_strength": 0.6, "steps": 3}}
PIXELS = {"hires": {"scale": 1.5, "upscaler": "lanczos", "prompt": "a large apple", "steps": 3}}
REFINER = {"refiner": {"model": "sdxl_refiner", "switch_at": 0.5}}


def lora(model: str, arguments: str = "0.8") -> dict[str, Any]:
    return {"prompt": f"a red apple <lora:{model}_lora:{arguments}>"}


MATRIX: Mapping[str, dict[str, Any]] = {
    "sd15 euler karras": {"model": "sd15", "sampler": "euler", "scheduler": "karras"},
    "sd15 dpmpp_2m karras": {"model": "sd15", "sampler": "dpmpp_2m", "scheduler": "karras"},
    "sd15 euler_ancestral normal": {"model": "sd15", "sampler": "euler_ancestral", "scheduler": "normal"},
    "sd15 dpmpp_sde exponential": {"model": "sd15", "sampler": "dpmpp_sde", "scheduler": "exponential"},
    "sd15 ddim": {"model": "sd15", "sampler": "ddim"},
    "sd15 uni_pc": {"model": "sd15", "sampler": "uni_pc"},
    "sd15 clip skip": {"model": "sd15", "clip_skip": 2},
    "sd15 prompt editing": {"model": "sd15", "prompt": "a [red:blue:0.5] apple", "cfg_rescale": 0.5},
    "sd15 img2img": {"model": "sd15", **START},
    "sd15 inpaint": {"model": "sd15", **INPAINT},
    "sd15 soft inpaint": {"model": "sd15", **SOFT},
    "sd15 hires latent": {"model": "sd15", **HIRES},
    "sd15 hires lanczos": {"model": "sd15", **PIXELS},
    "sd15 tiling": {"model": "sd15", "tiling": True},
    "sd15 lora": {"model": "sd15", **lora("sd15")},
    "sd15 lora over steps": {"model": "sd15", **lora("sd15", "0@0,1@1")},
    "sd15_inpaint txt2img": {"model": "sd15_inpaint"},
    "sd15_inpaint inpaint": {"model": "sd15_inpaint", **INPAINT},
    "sd21_v euler": {"model": "sd21_v"},
    "sdxl dpmpp_2m_sde": {"model": "sdxl", "sampler": "dpmpp_2m_sde"},
    "sdxl refiner": {"model": "sdxl", **REFINER},
    "sdxl hires refiner": {"model": "sdxl", **HIRES, **REFINER},
    "sdxl lora": {"model": "sdxl", **lora("sdxl")},
    "sdxl_v zero snr": {"model": "sdxl_v"},
    "sd3 euler": {"model": "sd3"},
    "sd3 inpaint": {"model": "sd3", **INPAINT},
    "sd3 lora": {"model": "sd3", **lora("sd3")},
    "flux euler": {"model": "flux"},
    "flux dpmpp_2m img2img": {"model": "flux", "sampler": "dpmpp_2m", **START},
    "flux hires lanczos": {"model": "flux", **PIXELS},
    "flux lora": {"model": "flux", **lora("flux")},
}
"""Requests by name; what they leave open is in `COMMON`, or the family's own."""

COMMON: Mapping[str, Any] = {
    "prompt": "a red apple",
    "negative_prompt": "blue",
    "cfg_scale": 4.0,
    "seed": 1234,
    "steps": 5,
    "width": SIDE,
    "height": SIDE,
}


class Gallery:
    """A studio over the tiny models that keeps the clean latents of what it draws.

    Args:
        folder: That the models and pictures were written to.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        settings = {
            "general.model_folders": f'["{folder.as_posix()}"]',
            "engine.dtype": "float32",
            "engine.device": "cpu",
        }
        self._studio = Studio(Settings.load(environ={}, file=folder / "settings.toml", overrides=settings))
        self._caught: list[Tensor] = []
        stages = self._studio.registries.stages.registrar("golden")
        stages.add("catch_latents", self._catch, label="Catch latents", at="latents")
        stages.commit()

    def _catch(self, latents: Tensor, context: Any) -> Tensor:
        self._caught.append(latents.clone())
        return latents

    def latents(self, name: str, **changes: Any) -> Tensor:
        """The clean latents [b, c, h, w] of a request of the matrix, float32."""
        asked = {**COMMON, **MATRIX[name], "stages": {"catch_latents": {}}, **changes}
        for section, field in (("img2img", "image"), ("inpaint", "mask")):
            if section in asked:
                asked[section] = {**asked[section], field: self._folder / asked[section][field]}
        self._caught.clear()
        self._studio.generate(asked.pop("prompt"), output_folder=self._folder / "out", **asked)
        return torch.cat(self._caught)
