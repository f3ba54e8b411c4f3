"""The noise a picture starts from."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from sfumato_engine.noise.image_noise import ImageNoise
from sfumato_engine.noise.settings import NoiseSettings
from sfumato_engine.noise.variation import slerp

SHAPE = (4, 8, 10)
LEVELS = (0.03, 14.6)


def initial(*seeds: int, **settings: Any) -> Tensor:
    return ImageNoise(NoiseSettings(seeds, **settings), SHAPE, "cpu", LEVELS).initial()


def drawn(seed: int, shape: tuple[int, ...] = SHAPE) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_starting_noise_is_torchs_own_for_the_seed() -> None:
    assert torch.equal(initial(6, 7)[1], drawn(7))


def test_source_nv_starts_from_the_numbers_of_a_gpu() -> None:
    expected = [-0.92466259, -0.42534415, -2.6438457, 0.14518388]
    assert initial(0, source="nv").flatten()[:4].tolist() == pytest.approx(expected, abs=1e-6)


def test_each_picture_is_mixed_with_its_own_variation_seed() -> None:
    noise = initial(1, 1, variation_seeds=(8, 9), variation_strength=0.2)
    assert torch.equal(noise[1], slerp(drawn(1), drawn(9), 0.2))


def test_noise_of_a_smaller_picture_stands_in_the_middle() -> None:
    noise = initial(5, resize_from=(4, 5))[0]
    expected = drawn(5)
    expected[:, 2:6, 2:7] = drawn(5, (4, 4, 5))
    assert torch.equal(noise, expected)


def test_of_a_larger_pictures_noise_the_middle_stands_everywhere() -> None:
    assert torch.equal(initial(5, resize_from=(12, 14))[0], drawn(5, (4, 12, 14))[:, 2:10, 2:12])


def test_a_taller_and_narrower_pictures_noise_fills_what_both_cover() -> None:
    expected = drawn(5)
    expected[:, :, 2:8] = drawn(5, (4, 12, 6))[:, 2:10]
    assert torch.equal(initial(5, resize_from=(12, 6))[0], expected)


def test_an_odd_excess_leaves_the_last_row_free() -> None:
    expected = drawn(5)
    expected[:, :7] = drawn(5, (4, 11, 10))[:, 2:9]
    assert torch.equal(initial(5, resize_from=(11, 10))[0], expected)


def test_resizing_from_the_same_size_changes_nothing() -> None:
    assert torch.equal(initial(5, resize_from=SHAPE[1:])[0], drawn(5))


def test_a_variation_is_mixed_before_it_is_put_in_the_middle() -> None:
    noise = initial(5, resize_from=(4, 6), variation_seeds=(9,), variation_strength=0.4)[0]
    assert torch.equal(noise[:, 2:6, 2:8], slerp(drawn(5, (4, 4, 6)), drawn(9, (4, 4, 6)), 0.4))
    assert torch.equal(noise[:, :2], drawn(5)[:, :2])
