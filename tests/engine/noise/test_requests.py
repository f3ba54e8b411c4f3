"""The noise that requests ask for, seen in their pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from ..conftest import Workbench

SIZE = {"width": 64, "height": 48}


def drawn(workbench: Workbench, **fields: Any) -> list[np.ndarray]:
    """The request's pictures, as whole numbers that can be subtracted."""
    result = workbench.generate(**{**SIZE, **fields})
    return [np.asarray(Image.open(image.path)).astype(int) for image in result.images]


def test_a_variation_of_full_strength_is_the_variation_seeds_picture(workbench: Workbench) -> None:
    (varied,) = drawn(workbench, seed=1, variation_seed=5, variation_strength=1.0)
    (expected,) = drawn(workbench, seed=5)
    assert np.abs(varied - expected).max() <= 1


def test_variation_seeds_count_on_over_batches(workbench: Workbench) -> None:
    varied = drawn(workbench, seed=1, variation_seed=5, variation_strength=1.0, count=2, batch_size=2)
    for number, picture in enumerate(varied):
        assert np.abs(picture - drawn(workbench, seed=5 + number)[0]).max() <= 1


def test_seed_resize_keeps_the_middle_of_the_other_sizes_noise(workbench: Workbench) -> None:
    (same,) = drawn(workbench, seed=1, seed_resize_width=64, seed_resize_height=48)
    (wider,) = drawn(workbench, seed=1, seed_resize_width=128, seed_resize_height=48)
    (expected,) = drawn(workbench, seed=1)
    assert np.array_equal(same, expected)
    assert not np.array_equal(wider, expected)


def test_one_side_of_a_seed_resize_may_be_left_open(workbench: Workbench) -> None:
    (wide,) = drawn(workbench, seed=1, seed_resize_width=128)
    (expected,) = drawn(workbench, seed=1, seed_resize_width=128, seed_resize_height=48)
    assert np.array_equal(wide, expected)


def test_a_tree_is_for_solvers_whose_noise_belongs_to_intervals(workbench: Workbench) -> None:
    (plain,) = drawn(workbench, seed=2, sampler="euler_ancestral")
    (asked,) = drawn(workbench, seed=2, sampler="euler_ancestral", step_noise="brownian_tree")
    assert np.array_equal(asked, plain)


@pytest.mark.parametrize(
    ("sampler", "fields"),
    [
        ("euler", {"noise_source": "nv"}),
        ("euler_ancestral", {"noise_seed_delta": 31337}),
        ("dpmpp_sde", {"step_noise": "brownian_tree"}),
    ],
)
def test_other_noise_gives_another_picture_that_is_the_same_in_any_batch(
    workbench: Workbench, sampler: str, fields: dict[str, Any]
) -> None:
    (alone,) = drawn(workbench, seed=2, sampler=sampler, **fields)
    together = drawn(workbench, seed=1, sampler=sampler, batch_size=2, **fields)[1]
    assert np.abs(together - alone).max() <= 1
    assert np.abs(drawn(workbench, seed=2, sampler=sampler)[0] - alone).max() > 1
