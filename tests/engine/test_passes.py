"""Steps of passes that start from a picture, and requests made of requests."""

from __future__ import annotations

import pytest

from sfumato.errors import BadInput, UnknownName
from sfumato.request import GenerationRequest, HiresPass, Refiner
from sfumato_engine.passes import Denoising, hires_size
from sfumato_engine.resolution import resolve

from .conftest import Workbench


@pytest.mark.parametrize(
    ("strength", "asked", "run"),
    [(0.75, 20, 16), (0.5, 20, 11), (1.0, 20, 20), (0.05, 20, 2), (0.01, 20, 1), (0.0, 20, 0), (0.6, 1, 1)],
)
def test_steps_over_a_picture_are_counted_as_in_a1111(strength: float, asked: int, run: int) -> None:
    denoising = Denoising(strength)
    assert (denoising.laid_out(asked), denoising.run(asked)) == (asked, run)


@pytest.mark.parametrize(("strength", "asked", "laid_out"), [(0.75, 20, 26), (0.5, 12, 24), (1.0, 20, 20)])
def test_all_steps_are_run_on_the_last_levels_of_a_finer_schedule(
    strength: float, asked: int, laid_out: int
) -> None:
    denoising = Denoising(strength, all_steps=True)
    assert (denoising.laid_out(asked), denoising.run(asked)) == (laid_out, asked)


def test_a_strength_near_nothing_lays_out_no_more_steps_than_there_are_noise_levels() -> None:
    denoising = Denoising(1e-9, all_steps=True)
    assert (denoising.laid_out(20), denoising.run(20)) == (1000, 20)


@pytest.mark.parametrize(
    ("asked", "size"),
    [
        (HiresPass(), (1024, 1536)),
        (HiresPass(scale=1.5), (768, 1152)),
        (HiresPass(width=640), (640, 960)),
        (HiresPass(height=960), (640, 960)),
        (HiresPass(width=1000, height=1000), (1000, 1000)),
    ],
)
def test_the_size_of_a_hires_pass_follows_from_what_is_given(asked: HiresPass, size: tuple[int, int]) -> None:
    assert hires_size(asked, 512, 768) == size


def test_a_hires_pass_takes_over_what_it_leaves_open(workbench: Workbench) -> None:
    request = GenerationRequest(
        prompt="a cat",
        steps=6,
        sampler="dpmpp_2m",
        seed=3,
        hires=HiresPass(prompt="a sharp cat", sampler="euler a", cfg_scale=3),
    )
    resolved = resolve(request, workbench.context)
    assert resolved.hires is not None
    second = resolved.hires.request
    assert (second.prompt, second.steps, second.cfg_scale, second.seed) == ("a sharp cat", 6, 3.0, 3)
    assert resolved.hires.sampler.info.name == "euler_ancestral"
    assert resolved.hires.scheduler.info.name == resolved.scheduler.info.name
    assert resolved.request.hires is not None
    assert resolved.request.hires.sampler == "euler_ancestral"
    assert resolved.request.hires.scheduler is None


def test_options_of_the_first_sampler_do_not_hinder_another_one_in_the_hires_pass(
    workbench: Workbench,
) -> None:
    request = GenerationRequest(
        sampler="euler_ancestral", sampler_options={"eta": 0.5}, hires=HiresPass(sampler="heun", steps=2)
    )
    resolved = resolve(request, workbench.context)
    assert resolved.hires is not None
    assert resolved.sampler_options["eta"] == 0.5
    assert "eta" not in resolved.hires.sampler_options


def test_the_refiner_of_a_request_with_hires_fix_acts_in_its_second_pass(workbench: Workbench) -> None:
    request = GenerationRequest(hires=HiresPass(), refiner=Refiner(model="gauss", switch_at=0.5))
    resolved = resolve(request, workbench.context)
    assert resolved.refiner is None
    assert resolved.hires is not None
    assert resolved.hires.refiner is not None


@pytest.mark.parametrize("part", [{"refiner": Refiner(model="gaus")}, {"hires": HiresPass(model="gaus")}])
def test_a_misspelt_model_of_a_further_pass_is_told_at_once(workbench: Workbench, part: dict) -> None:
    with pytest.raises(UnknownName, match="gauss"):
        resolve(GenerationRequest(**part), workbench.context)


@pytest.mark.parametrize("field", ["inpaint", "outpaint"])
def test_a_mask_without_a_picture_is_refused(field: str) -> None:
    with pytest.raises(ValueError, match=r"img2img\.image"):
        GenerationRequest(**{field: {"mask": "mask.png"} if field == "inpaint" else {"left": 8}})


def test_hires_fix_and_inpainting_do_not_go_together(workbench: Workbench, tmp_path) -> None:
    from .start.pictures import plain

    picture = plain(tmp_path / "a.png", (32, 32))
    request = GenerationRequest(img2img={"image": picture}, inpaint={"mask": picture}, hires={})
    with pytest.raises(BadInput, match="does not go together"):
        resolve(request, workbench.context)
