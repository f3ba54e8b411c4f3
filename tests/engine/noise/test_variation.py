"""Noise between two seeds, against the spherical interpolation of single vectors in double precision."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sfumato_engine.noise.variation import slerp


def noise(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def rotated(start: np.ndarray, end: np.ndarray, fraction: float) -> np.ndarray:
    """`start` and `end` in a basis of their plane: their directions turn, and shrink or grow, evenly."""
    along = start / np.linalg.norm(start)
    across = end - along * (end @ along)
    across /= np.linalg.norm(across)
    angle = np.arctan2(end @ across, end @ along)
    a, b = np.linalg.norm(start), np.linalg.norm(end)
    share = a * np.sin((1 - fraction) * angle) / np.sin(angle)
    other = b * np.sin(fraction * angle) / np.sin(angle)
    return (share + other * np.cos(angle)) * along + other * np.sin(angle) * across


@pytest.mark.parametrize("fraction", [0.1, 0.5, 1.0])
def test_each_column_turns_from_one_noise_to_the_other(fraction: float) -> None:
    start, end = noise(1, 2, 16, 3), noise(2, 2, 16, 3)
    mixed = slerp(start, end, fraction).double().numpy()
    for channel, column in np.ndindex(2, 3):
        vectors = (tensor[channel, :, column].double().numpy() for tensor in (start, end))
        assert mixed[channel, :, column] == pytest.approx(rotated(*vectors, fraction), abs=1e-5)


def test_a_variation_keeps_unit_variance() -> None:
    assert abs(float(slerp(noise(1, 4, 64, 64), noise(2, 4, 64, 64), 0.5).std()) - 1) < 0.03


def test_equal_noises_have_nothing_between_them() -> None:
    assert torch.equal(slerp(noise(3, 4, 8, 8), noise(3, 4, 8, 8), 0.3), noise(3, 4, 8, 8))


def test_columns_of_one_number_are_mixed_in_a_straight_line() -> None:
    start, end = noise(1, 4, 1, 8), noise(2, 4, 1, 8)
    assert torch.allclose(slerp(start, end, 0.25), 0.75 * start + 0.25 * end)
