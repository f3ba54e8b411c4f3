"""Our models and diffusers' pipelines made of the same tiny weights, and whole pictures by either."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import diffusers
import torch
from torch import Tensor

from sfumato.library import ModelLibrary
from sfumato.models import Placement, PromptText
from sfumato.registries import Registries
from sfumato_models_sd.family import SdFamily
from sfumato_models_sd.model import SdModel

from ..tiny_models import sd
from ..tiny_models.library import library_of

EIGHT_BIT_STEP = 1 / 255
FLOAT32 = Placement(device="cpu", dtype="float32")


@dataclass(frozen=True)
class Wish:
    """What to draw; both sides get the same.

    No text has an "a": it is the token of id 0 that OpenCLIP pads with, and transformers reads pads in a text
    as such, where they are words.
    """

    prompt: str = "The blue one, red but not too much!"
    negative: str = "dull (or gloomy)"
    cfg_scale: float = 4.0
    width: int = 96
    height: int = 64
    steps: int = 4

    def noise(self) -> Tensor:
        """Latents [1, 4, h, w] of unit variance."""
        generator = torch.Generator().manual_seed(7)
        return torch.randn(1, 4, self.height // 8, self.width // 8, generator=generator)

    def picture(self) -> tuple[Tensor, Tensor]:
        """Pixels [1, 3, H, W] in 0..1 and a hard mask of their right half."""
        pixels = torch.rand(1, 3, self.height, self.width, generator=torch.Generator().manual_seed(8))
        mask = torch.zeros(1, 1, self.height, self.width)
        mask[..., self.width // 2 :] = 1
        return pixels, mask


def library(*roots: Path) -> ModelLibrary:
    """Models below these folders, known by the families of this plugin."""
    import sfumato_models_sd.plugin

    registries = Registries()
    families = registries.model_families.registrar("models_sd")
    sfumato_models_sd.plugin.register_model_families(families)
    families.commit()
    return library_of(*roots, registries=registries)


def loaded(path: Path, placement: Placement = FLOAT32) -> SdModel:
    """The model at a path, with parts looked for below the folder that holds its folder."""
    shelf = library(path.parent.parent)
    family = SdFamily()
    info = family.detect(shelf.header(path))
    assert info is not None
    model = family.load(info, shelf, placement)
    assert isinstance(model, SdModel)
    return model


def single_file(tiny: sd.TinySD, folder: Path, **given: Any) -> SdModel:
    """Ours, from a single file in the original layout."""
    return loaded(sd.write_single_file(tiny, folder, "model", **given))


def pipeline(tiny: sd.TinySD, folder: Path, kind: Any = diffusers.DiffusionPipeline) -> Any:
    """Diffusers', from a folder."""
    made = kind.from_pretrained(sd.write_folder(tiny, folder / "folder"))
    made.set_progress_bar_config(disable=True)
    return made


def encoded(model: SdModel, text: str, *, is_negative: bool = False, **options: Any) -> Any:
    chunk = ((text, 1.0),) if text else ()
    prompt = PromptText((chunk,), clip_skip=model.info.defaults.clip_skip, is_negative=is_negative)
    return model.condition(prompt, options)


def denoised_by(model: SdModel, wish: Wish, picture: Tensor | None = None, **options: Any) -> Any:
    """The guided estimate as a function of latents and noise level."""
    positive = encoded(model, wish.prompt, **options)
    negative = encoded(model, wish.negative, is_negative=True, **options)

    def denoise(x: Tensor, sigma: float) -> Tensor:
        towards = model.denoise(x, sigma, [positive], options, picture=picture)
        away = model.denoise(x, sigma, [negative], options, picture=picture)
        return away.lerp(towards, wish.cfg_scale)

    return denoise


def euler(denoise: Any, x: Tensor, sigmas: Sequence[float]) -> Tensor:
    for sigma, target in pairwise(sigmas):
        x = x + (x - denoise(x, sigma)) / sigma * (target - sigma)
    return x


def assert_same_picture(found: Tensor, expected: Tensor) -> None:
    """At most one step of 8 bits apart, and a picture with something in it."""
    assert expected.std() > 0.02
    assert float((found - expected).abs().max()) <= EIGHT_BIT_STEP
