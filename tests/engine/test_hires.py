"""Hires fix, refiner and regions on the exact tiny model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from sfumato.errors import BadInput, PluginError, UnknownName
from sfumato.events import PhaseStarted, StepCompleted
from sfumato.models import ModelInfo
from sfumato.noise_schedule import flow_schedule
from sfumato.request import GenerationRequest, HiresPass, Refiner
from sfumato_engine.enlarging import centre, covering
from sfumato_engine.generate import generate
from sfumato_engine.hand_off import HandOff, level_of
from sfumato_engine.model_manager import WORKSPACE_KEY

from .conftest import Workbench
from .gaussian_model import GaussianModel, OneModelLibrary
from .start.pictures import mask
from .test_generate import pixels


@pytest.mark.parametrize("upscaler", ["Latent", "Latent (nearest-exact)", "Lanczos", "nearest", "None"])
def test_a_hires_pass_without_strength_is_the_first_picture_enlarged(
    workbench: Workbench, upscaler: str
) -> None:
    first = workbench.generate(seed=1).images[0]
    hires = HiresPass(scale=2, upscaler=upscaler, denoising_strength=0)
    second = workbench.generate(seed=1, hires=hires).images[0]
    assert (second.width, second.height) == (2 * first.width, 2 * first.height)
    small, large = pixels(first.path), pixels(second.path)
    means = [
        large[y : y + 32, x : x + 32].mean() - small[y // 2 : y // 2 + 16, x // 2 : x // 2 + 16].mean()
        for y in (0, 32)
        for x in (0, 32)
    ]
    assert max(map(abs, means)) < 12


def test_both_passes_are_counted_as_the_steps_of_one_batch(workbench: Workbench) -> None:
    workbench.generate(seed=1, steps=3, hires=HiresPass(steps=5), count=2)
    steps = [(e.batch, e.step, e.steps) for e in workbench.events if isinstance(e, StepCompleted)]
    assert steps == [(batch, step, 8) for batch in (0, 1) for step in range(1, 9)]
    phases = [e.phase for e in workbench.events if isinstance(e, PhaseStarted)]
    assert phases[-4:] == ["sampling", "enlarging", "sampling", "decoding"]


def test_the_hires_pass_follows_its_own_prompt(workbench: Workbench) -> None:
    same = workbench.generate("a cat", seed=1, hires=HiresPass()).images[0]
    other = workbench.generate("a cat", seed=1, hires=HiresPass(prompt="blue")).images[0]
    assert (pixels(same.path) != pixels(other.path)).any()
    assert other.request.prompt == "a cat"


def test_pictures_of_a_batch_with_hires_fix_are_the_same_alone(workbench: Workbench) -> None:
    hires = HiresPass(scale=1.5, upscaler="lanczos")
    together = workbench.generate(seed=5, batch_size=3, hires=hires).images
    alone = workbench.generate(seed=6, hires=hires).images[0]
    assert abs(pixels(alone.path) - pixels(together[1].path)).max() <= 1


def test_a_factor_leads_to_the_nearest_smaller_size_that_the_model_can_draw(workbench: Workbench) -> None:
    image = workbench.generate(seed=1, width=48, height=32, hires=HiresPass(scale=1.7)).images[0]
    assert (image.width, image.height) == (80, 48)


def test_a_size_of_other_proportions_crops_both_sides_alike(workbench: Workbench) -> None:
    assert covering(512, 768, 1024, 1024) == (1024, 1536)
    grid = torch.arange(6.0).reshape(1, 1, 6, 1).expand(1, 1, 6, 4)
    assert centre(grid, 4, 4)[0, 0, :, 0].tolist() == [1, 2, 3, 4]
    assert centre(grid, 4, 2, step=2)[0, 0, :, 0].tolist() == [2, 3]
    assert covering(512, 704, 1000, 1000) == (1000, 1375)
    assert covering(64, 88, 125, 125) == (125, 171)
    image = workbench.generate(seed=1, hires=HiresPass(width=64, height=96)).images[0]
    assert (image.width, image.height) == (64, 96)


def test_an_unknown_upscaler_is_told_before_anything_is_loaded(workbench: Workbench) -> None:
    with pytest.raises(UnknownName, match="Lanczos"):
        workbench.generate(seed=1, hires=HiresPass(upscaler="lanczoz"))
    assert not workbench.loaded


@pytest.mark.parametrize(
    ("upscaler", "said"),
    [(lambda *_: 1 / 0, "division by zero"), (lambda picture, *_: picture, "no picture of the size")],
)
def test_an_upscaler_that_fails_is_named_with_its_plugin(
    workbench: Workbench, upscaler: Any, said: str
) -> None:
    registrar = workbench.registries.upscalers.registrar("tester")
    registrar.add("odd", upscaler, label="Odd")
    registrar.commit()
    with pytest.raises(PluginError, match=rf"'Odd' failed.*{said}.*'tester'"):
        workbench.generate(seed=1, hires=HiresPass(upscaler="odd"))


def asked(switch_at: float, steps: int, *, by_steps: bool = True) -> list[str]:
    """Which model is asked at each step of a uniform flow schedule."""
    sigmas = [1 - i / steps for i in range(steps + 1)]
    level = level_of(Refiner(model="x", switch_at=switch_at, by_steps=by_steps), sigmas, flow_schedule())
    names: list[str] = []

    def model(name: str) -> Any:
        return lambda x, sigma: names.append(name) or x

    hand_off = HandOff(model("base"), model("refiner"), level)
    for sigma in sigmas[:-1]:
        hand_off(torch.zeros(1), sigma)
    return names


def test_the_refiner_takes_over_after_its_share_of_the_steps() -> None:
    assert asked(0.8, 10) == ["base"] * 8 + ["refiner"] * 2
    assert asked(0.0, 3) == ["refiner"] * 3
    assert asked(1.0, 3) == ["base"] * 3
    assert asked(0.8, 10, by_steps=False) == ["base"] * 8 + ["refiner"] * 2


def test_a_model_that_refines_its_own_picture_changes_nothing(workbench: Workbench) -> None:
    alone = workbench.generate(seed=1, steps=6).images[0]
    refined = workbench.generate(seed=1, steps=6, refiner=Refiner(model="gauss", switch_at=0.5)).images[0]
    assert (pixels(alone.path) == pixels(refined.path)).all()


def test_regions_bound_where_each_prompt_acts(workbench: Workbench, tmp_path: Path) -> None:
    left, right = (mask(tmp_path / f"{x}.png", (x, 0, x + 16, 32)) for x in (0, 16))
    regional = workbench.generate(
        "a cat AND the sky", seed=1, steps=8, cfg_scale=1.0, regions=(left, right)
    ).images[0]
    alone = [
        workbench.generate(text, seed=1, steps=8, cfg_scale=1.0).images[0] for text in ("a cat ", " the sky")
    ]
    drawn, cat, sky = (pixels(image.path) for image in (regional, *alone))
    assert abs(drawn[:, :16] - cat[:, :16]).max() <= 2
    assert abs(drawn[:, 16:] - sky[:, 16:]).max() <= 2


def test_regions_and_prompts_must_be_as_many(workbench: Workbench, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"joins 2 parts in the prompt of a pass, and there are 1 masks"):
        workbench.generate("a AND b", seed=1, regions=(mask(tmp_path / "a.png", None),))


class TwoModels(OneModelLibrary):
    """The one model, and a copy of it under the name "other"."""

    def find(self, name: str | None) -> ModelInfo:
        if name != "other":
            return super().find(name)
        path = self.info.path.with_name("other.safetensors")
        if not path.exists():
            path.touch()
        return self.info.model_copy(update={"name": "other", "path": path})


def test_models_that_a_request_needs_together_stay_for_the_next_one(workbench: Workbench) -> None:
    context = replace(workbench.context, library=TwoModels(workbench.model_file))  # type: ignore[arg-type]
    request = GenerationRequest(seed=1, refiner=Refiner(model="other", switch_at=0.5))

    def kept_after_drawing() -> list[GaussianModel]:
        generate(request, context)
        return [kept.model for kept in workbench.workspace[WORKSPACE_KEY].models.values()]

    first, second = kept_after_drawing(), kept_after_drawing()
    assert len(first) == 2
    assert {id(model) for model in first} == {id(model) for model in second}
