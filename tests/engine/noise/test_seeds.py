"""Numbering of a request's pictures."""

from __future__ import annotations

from sfumato_engine.noise.seeds import picture_seed, picture_variation_seed


def test_pictures_count_on_from_the_seed() -> None:
    assert [picture_seed(10, index, 0.0) for index in range(3)] == [10, 11, 12]


def test_variations_share_the_seed_and_count_on_from_the_variation_seed() -> None:
    assert [picture_seed(10, index, 0.1) for index in range(3)] == [10, 10, 10]
    assert [picture_variation_seed(20, index) for index in range(3)] == [20, 21, 22]


def test_seeds_go_on_at_zero_past_32_bits() -> None:
    assert picture_seed(2**32 - 1, 2, 0.0) == 1
    assert picture_variation_seed(2**32 - 1, 1) == 0
