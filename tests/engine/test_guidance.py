"""Classifier-free guidance and when it runs as one batch."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sfumato.models import ModelInfo, Placement, PromptText
from sfumato_engine.batching import SMALL_WORK, passes_side_by_side
from sfumato_engine.guidance import Guidance, guided

from .gaussian_model import GaussianModel


@pytest.fixture
def model() -> GaussianModel:
    return GaussianModel(ModelInfo(name="gauss", family="gaussian", path=Path("gauss")), Placement())


def estimate(model: GaussianModel, scale: float, *, one_batch: bool) -> torch.Tensor:
    positive, negative = (
        model.condition(PromptText(([("a", 1.0)],)), {}),
        model.condition(PromptText(([("b", 1.0)],)), {}),
    )
    x = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    return guided(model, Guidance([positive] * 2, [negative] * 2, scale, one_batch), {})(x, 0.5)


@pytest.mark.parametrize("scale", [0.0, 0.5, 3.0, 7.5])
def test_guidance_is_the_formula_of_the_paper_in_one_batch_or_two_passes(
    model: GaussianModel, scale: float
) -> None:
    cond = estimate(model, 1.0, one_batch=False)
    uncond = estimate(model, 0.0, one_batch=False)
    for one_batch in (True, False):
        guided_estimate = estimate(model, scale, one_batch=one_batch)
        torch.testing.assert_close(guided_estimate, uncond + scale * (cond - uncond))


def test_the_model_sees_one_batch_or_two_passes_as_asked(model: GaussianModel) -> None:
    estimate(model, 3.0, one_batch=True)
    estimate(model, 3.0, one_batch=False)
    assert model.batches == [4, 2, 2]


def test_scale_one_never_evaluates_the_negative_prompt(model: GaussianModel) -> None:
    estimate(model, 1.0, one_batch=True)
    assert model.batches == [2]


@pytest.mark.parametrize(
    ("choice", "scale", "positions", "passes"),
    [
        ("auto", 3.0, SMALL_WORK, 2),
        ("auto", 3.0, SMALL_WORK + 1, 1),
        ("batch", 3.0, 10**6, 2),
        ("two_passes", 3.0, 1, 1),
        ("batch", 1.0, 1, 1),
    ],
)
def test_size_decides_unless_the_user_does(choice: str, scale: float, positions: int, passes: int) -> None:
    assert passes_side_by_side(choice, scale, positions) == passes  # type: ignore[arg-type]
