"""The quick step noise: a Brownian path, with A1111's noise where steps follow each other."""

from __future__ import annotations

import math

import pytest
import torch

from sfumato_engine.noise.brownian_path import BrownianPath
from sfumato_engine.noise.generators import TorchGenerator


def path(shape: tuple[int, ...], seed: int = 1) -> BrownianPath:
    generator = TorchGenerator(seed)
    return BrownianPath(lambda: generator.randn(shape), shape)


def many(*intervals: tuple[float, float]) -> list[torch.Tensor]:
    noise = path((100_000,))
    return [noise(*interval) for interval in intervals]


def correlation(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(torch.corrcoef(torch.stack((a, b)))[0, 1])


def test_steps_that_follow_each_other_get_the_generators_draws_in_order() -> None:
    generator, noise = torch.Generator().manual_seed(1), path((1, 4, 8, 8))
    for interval in ((14.6, 9.0), (9.0, 5.0), (5.0, 2.0), (2.0, 0.5), (0.5, 0.03)):
        assert torch.allclose(noise(*interval), torch.randn(1, 4, 8, 8, generator=generator), atol=1e-5)


def test_only_the_path_ahead_is_kept() -> None:
    noise = path((1, 4, 8, 8))
    for step in range(50, 0, -1):
        noise(float(step), step - 0.5)
        noise(float(step), step - 1.0)
    assert len(noise._path) <= 3


def test_every_draw_has_unit_variance() -> None:
    for draw in many((14.6, 9.0), (9.0, 5.0), (9.0, 7.5), (7.5, 0.3), (0.3, 0.3)):
        assert abs(float(draw.std()) - 1) < 0.02
        assert abs(float(draw.mean())) < 0.02


def test_consecutive_intervals_are_independent() -> None:
    first, second = many((1.0, 0.7), (0.7, 0.2))
    assert abs(correlation(first, second)) < 0.02


@pytest.mark.parametrize("order", [1, -1])
def test_overlapping_intervals_are_correlated_like_a_brownian_path(order: int) -> None:
    half, whole = many(*((1.0, 0.75), (1.0, 0.0))[::order])
    assert abs(correlation(half, whole) - math.sqrt(0.25)) < 0.02
