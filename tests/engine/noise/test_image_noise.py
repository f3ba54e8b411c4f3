"""Noise belongs to a picture, not to its batch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from sfumato_engine.noise.image_noise import ImageNoise
from sfumato_engine.noise.settings import NoiseSettings

SHAPE = (4, 8, 8)
LEVELS = (0.03, 14.6)
INTERVALS = ((14.6, 8.0), (8.0, 5.0), (5.0, 6.5), (5.0, 5.0), (5.0, 0.2))
KINDS = (
    {},
    {"source": "nv"},
    {"step_noise": "brownian_tree"},
    {"step_noise": "brownian_tree", "source": "nv"},
    {"seed_delta": 31337, "resize_from": (6, 12)},
)


def image_noise(*seeds: int, **settings: Any) -> ImageNoise:
    return ImageNoise(NoiseSettings(seeds, **settings), SHAPE, "cpu", LEVELS)


def draws(noise: ImageNoise) -> list[Tensor]:
    return [noise.initial(), *(noise(*interval) for interval in INTERVALS)]


def sequence(seed: int, number: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(SHAPE, generator=generator) for _ in range(number)]


@pytest.mark.parametrize("settings", KINDS)
def test_neighbours_do_not_change_a_pictures_noise(settings: dict[str, Any]) -> None:
    variation = {"variation_strength": 0.3}
    alone = draws(image_noise(9, variation_seeds=(4,), **variation, **settings))
    together = draws(image_noise(3, 9, 5, variation_seeds=(3, 4, 5), **variation, **settings))
    for noise, batch in zip(alone, together, strict=True):
        assert torch.equal(noise[0], batch[1])


@pytest.mark.parametrize("settings", KINDS)
def test_all_noise_is_float32_in_the_shape_of_the_batch(settings: dict[str, Any]) -> None:
    for noise in draws(image_noise(1, 2, **settings)):
        assert noise.dtype == torch.float32
        assert noise.shape == (2, *SHAPE)
        assert bool(torch.isfinite(noise).all())


def test_step_noise_goes_on_where_the_starting_noise_ended() -> None:
    noise = image_noise(7)
    for drawn, expected in zip(
        (noise.initial(), noise(14.6, 8.0), noise(8.0, 5.0)), sequence(7, 3), strict=True
    ):
        assert torch.allclose(drawn[0], expected, atol=1e-5)


def test_a_variation_or_resize_takes_no_draw_from_the_picture() -> None:
    noise = image_noise(7, variation_seeds=(8,), variation_strength=0.5, resize_from=(4, 4))
    noise.initial()
    assert torch.allclose(noise(14.6, 8.0)[0], sequence(7, 2)[1], atol=1e-5)


def test_a_seed_delta_begins_step_noise_at_another_seed() -> None:
    noise = image_noise(7, seed_delta=31337)
    assert torch.equal(noise.initial()[0], sequence(7, 1)[0])
    assert torch.allclose(noise(14.6, 8.0)[0], sequence(7 + 31337, 1)[0], atol=1e-5)


def test_the_brownian_tree_keeps_to_the_seed_whatever_the_seed_delta() -> None:
    plain, shifted = (image_noise(7, step_noise="brownian_tree", seed_delta=delta) for delta in (0, 31337))
    plain.initial(), shifted.initial()
    assert torch.equal(plain(14.6, 8.0), shifted(14.6, 8.0))
