"""Classifier-free guidance: composed prompts, its range, its rescaling, and when it runs as one batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from sfumato.models import ModelInfo, Placement, PromptText
from sfumato_engine.batching import SMALL_WORK, passes_side_by_side
from sfumato_engine.guidance import Guidance, GuidedModel, NegativeRange, PromptPart, rescaled
from sfumato_engine.step_finder import StepFinder
from sfumato_engine.timeline import Timeline

from .gaussian_model import GaussianModel

SIGMAS = [1.0, 0.8, 0.6, 0.4, 0.2, 0.0]


@pytest.fixture
def model() -> GaussianModel:
    return GaussianModel(ModelInfo(name="gauss", family="gaussian", path=Path("gauss")), Placement())


def prompt(model: GaussianModel, text: str) -> torch.Tensor:
    return model.condition(PromptText(((((text, 1.0)),),)), {})


def part(model: GaussianModel, text: str, weight: float = 1.0) -> PromptPart:
    return PromptPart(weight, Timeline([(5, prompt(model, text))]))


def noisy() -> torch.Tensor:
    return torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))


def guided(model: GaussianModel, *parts: PromptPart, scale: float = 3.0, **fields: Any) -> GuidedModel:
    keep = fields.pop("keep_unconditional", False)
    negative = part(model, "negative").timeline
    guidance = Guidance(parts or [part(model, "a")], negative, scale, **fields)
    return GuidedModel(model, guidance, {}, SIGMAS, keep_unconditional=keep)


def alone(model: GaussianModel, text: str, sigma: float = 0.6) -> torch.Tensor:
    return model.denoise(noisy(), sigma, [prompt(model, text)] * 2, {})


@pytest.mark.parametrize("scale", [0.0, 0.5, 3.0, 7.5])
@pytest.mark.parametrize("one_batch", [True, False])
def test_guidance_is_the_formula_of_the_paper_in_one_batch_or_two_passes(
    model: GaussianModel, scale: float, one_batch: bool
) -> None:
    cond, uncond = alone(model, "a"), alone(model, "negative")
    found = guided(model, scale=scale, one_batch=one_batch)(noisy(), 0.6)
    torch.testing.assert_close(found, uncond + scale * (cond - uncond))


def test_the_model_sees_one_batch_or_two_passes_as_asked(model: GaussianModel) -> None:
    guided(model, one_batch=True)(noisy(), 0.6)
    guided(model, one_batch=False)(noisy(), 0.6)
    assert model.batches == [4, 2, 2]


def test_scale_one_never_evaluates_the_negative_prompt(model: GaussianModel) -> None:
    guided(model, scale=1.0)(noisy(), 0.6)
    assert model.batches == [2]


@pytest.mark.parametrize("one_batch", [True, False])
def test_prompts_joined_by_and_pull_by_their_weights(model: GaussianModel, one_batch: bool) -> None:
    first, second, uncond = alone(model, "a"), alone(model, "b"), alone(model, "negative")
    parts = part(model, "a", 0.7), part(model, "b", -0.4)
    found = guided(model, *parts, scale=2.0, one_batch=one_batch)(noisy(), 0.6)
    torch.testing.assert_close(found, uncond + 1.4 * (first - uncond) - 0.8 * (second - uncond))


def test_weights_that_add_up_to_one_need_no_negative_prompt_at_scale_one(model: GaussianModel) -> None:
    parts = part(model, "a", 0.3), part(model, "b", 0.7)
    found = guided(model, *parts, scale=1.0)(noisy(), 0.6)
    torch.testing.assert_close(found, 0.3 * alone(model, "a") + 0.7 * alone(model, "b"))
    assert model.batches[0] == 4


# The steps that use the negative prompt


def used_in(model: GaussianModel, **fields: Any) -> list[bool]:
    """For each of the five steps, whether the negative prompt was evaluated."""
    denoise = guided(model, negative_range=NegativeRange(**fields))
    model.batches.clear()
    for sigma in SIGMAS[:-1]:
        denoise(noisy(), sigma)
    return [batch == 4 for batch in model.batches]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, [True] * 5),
        ({"start": 0.4}, [False, False, True, True, True]),
        ({"end": 0.6}, [True, True, True, False, False]),
        ({"start": 0.2, "end": 0.8}, [False, True, True, True, False]),
        ({"start": 1.0}, [False] * 5),
        ({"minimum_sigma": 0.7}, [True, True, True, False, True]),
        ({"minimum_sigma": 0.7, "all_steps": True}, [True, True, False, False, False]),
    ],
)
def test_the_negative_prompt_takes_part_in_the_steps_asked_for(
    model: GaussianModel, fields: dict[str, Any], expected: list[bool]
) -> None:
    assert used_in(model, **fields) == expected


@pytest.mark.parametrize("scale", [2.0, 7.5])
def test_without_the_negative_prompt_the_others_pull_away_from_the_first_at_any_scale(
    model: GaussianModel, scale: float
) -> None:
    first, second = alone(model, "a"), alone(model, "b")
    parts = part(model, "a"), part(model, "b", 0.5)
    found = guided(model, *parts, scale=scale, negative_range=NegativeRange(start=1.0))(noisy(), 0.6)
    torch.testing.assert_close(found, first + 0.5 * (second - first))


def test_the_unconditional_estimate_is_kept_where_a_sampler_wants_it(model: GaussianModel) -> None:
    denoise = guided(model, scale=1.0, keep_unconditional=True)
    found = denoise(noisy(), 0.6)
    torch.testing.assert_close(found, alone(model, "a"))
    assert denoise.unconditional is not None
    torch.testing.assert_close(denoise.unconditional, alone(model, "negative"))


# Rescaling


def test_rescaling_noise_predictions_is_diffusers_own() -> None:
    oracle = pytest.importorskip("diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion")
    generator = torch.Generator().manual_seed(1)
    x, positive, denoised = (torch.randn(2, 4, 8, 8, generator=generator) for _ in range(3))
    sigma = 3.0
    eps, eps_positive = (x - denoised) / sigma, (x - positive) / sigma
    expected = x - sigma * oracle.rescale_noise_cfg(eps, eps_positive, guidance_rescale=0.7)
    torch.testing.assert_close(rescaled(denoised, positive, x, sigma, "eps", 0.7), expected)


def test_rescaling_v_predictions_is_diffusers_own() -> None:
    oracle = pytest.importorskip("diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion")
    generator = torch.Generator().manual_seed(1)
    x, positive, denoised = (torch.randn(2, 4, 8, 8, generator=generator) for _ in range(3))
    sigma = 3.0
    alpha, deviation = 1 / (1 + sigma**2) ** 0.5, sigma / (1 + sigma**2) ** 0.5

    def velocity(estimate: torch.Tensor) -> torch.Tensor:
        noise = (x - estimate) / sigma
        return alpha * noise - deviation * estimate

    v = oracle.rescale_noise_cfg(velocity(denoised), velocity(positive), guidance_rescale=1.0)
    expected = alpha * (alpha * x) - deviation * v
    torch.testing.assert_close(rescaled(denoised, positive, x, sigma, "v", 1.0), expected)


def test_rescaling_acts_on_guided_steps_alone(model: GaussianModel) -> None:
    plain, half = guided(model), guided(model, rescale=0.5)
    assert not torch.equal(plain(noisy(), 0.6), half(noisy(), 0.6))
    unguided = guided(model, rescale=0.5, negative_range=NegativeRange(start=1.0))
    torch.testing.assert_close(unguided(noisy(), 0.6), alone(model, "a"))


@pytest.mark.parametrize("weight", [1.0, -0.9, -1.0])
def test_scale_one_adds_no_contrast_that_rescaling_could_take_back(
    model: GaussianModel, weight: float
) -> None:
    parts = part(model, "a"), part(model, "b", weight)
    plain, whole = (guided(model, *parts, scale=1.0, rescale=amount) for amount in (0.0, 1.0))
    torch.testing.assert_close(whole(noisy(), 0.6), plain(noisy(), 0.6))


def test_rescaling_nothing_but_one_colour_stays_finite() -> None:
    flat = torch.ones(1, 3, 4, 4)
    assert torch.isfinite(rescaled(flat, flat, flat, 0.5, "flow", 1.0)).all()


# Steps


def test_levels_belong_to_the_step_that_starts_at_or_above_them() -> None:
    step = StepFinder(SIGMAS)
    assert [step(sigma) for sigma in SIGMAS[:-1]] == [0, 1, 2, 3, 4]
    assert [step(sigma) for sigma in (1.3, 0.9, 0.79999999, 0.41, 0.1, 0.0)] == [0, 0, 1, 2, 4, 4]
    assert step(0.8 * (1 + 1e-9)) == 1


def test_a_timeline_changes_after_the_last_step_of_a_span() -> None:
    timeline = Timeline([(2, "a"), (3, "b"), (5, "c")])
    assert [timeline.at(step) for step in range(7)] == ["a", "a", "b", "c", "c", "c", "c"]


@pytest.mark.parametrize(
    ("choice", "prompts", "positions", "passes"),
    [
        ("auto", 2, SMALL_WORK, 2),
        ("auto", 3, SMALL_WORK, 3),
        ("auto", 2, SMALL_WORK + 1, 1),
        ("batch", 2, 10**6, 2),
        ("two_passes", 2, 1, 1),
        ("batch", 1, 1, 1),
    ],
)
def test_size_decides_unless_the_user_does(choice: str, prompts: int, positions: int, passes: int) -> None:
    assert passes_side_by_side(choice, prompts, positions) == passes  # type: ignore[arg-type]
