"""Noise belongs to a picture, not to its batch."""

from __future__ import annotations

import math

import torch

from sfumato_engine.noise import ImageNoise

SHAPE = (4, 8, 8)


def test_starting_noise_is_torchs_own_for_the_seed() -> None:
    expected = torch.randn(SHAPE, generator=torch.Generator().manual_seed(7))
    assert torch.equal(ImageNoise([6, 7], SHAPE, "cpu").initial()[1], expected)


def test_neighbours_do_not_change_a_pictures_noise() -> None:
    alone, together = ImageNoise([9], SHAPE, "cpu"), ImageNoise([3, 9, 4], SHAPE, "cpu")
    for noise in (alone, together):
        noise.initial()
    for interval in ((1.0, 0.8), (0.8, 0.5), (0.5, 0.65), (0.5, 0.2)):
        assert torch.equal(alone(*interval)[0], together(*interval)[1])


def test_only_the_path_ahead_is_kept() -> None:
    noise = ImageNoise([1], SHAPE, "cpu")
    for step in range(50, 0, -1):
        noise(float(step), step - 0.5)
        noise(float(step), step - 1.0)
    assert len(noise._path) <= 3


def many(*intervals: tuple[float, float]) -> list[torch.Tensor]:
    noise = ImageNoise([1], (100_000,), "cpu")
    return [noise(*interval)[0] for interval in intervals]


def correlation(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(torch.corrcoef(torch.stack((a, b)))[0, 1])


def test_every_draw_has_unit_variance() -> None:
    for draw in many((14.6, 9.0), (9.0, 5.0), (9.0, 7.5), (7.5, 0.3), (0.3, 0.3)):
        assert abs(float(draw.std()) - 1) < 0.02
        assert abs(float(draw.mean())) < 0.02


def test_consecutive_intervals_are_independent() -> None:
    first, second = many((1.0, 0.7), (0.7, 0.2))
    assert abs(correlation(first, second)) < 0.02


def test_overlapping_intervals_are_correlated_like_a_brownian_path() -> None:
    half, whole = many((1.0, 0.75), (1.0, 0.0))
    assert abs(correlation(half, whole) - math.sqrt(0.25)) < 0.02
    whole, half = many((1.0, 0.0), (1.0, 0.75))
    assert abs(correlation(half, whole) - math.sqrt(0.25)) < 0.02
