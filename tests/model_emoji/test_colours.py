"""Recoloured pictures show the colour they are captioned with."""

from __future__ import annotations

import numpy as np
import pytest

from training.colours import HUES, colour_name, recolour, ruling_hue


def disc(red: int, green: int, blue: int) -> np.ndarray:
    """A disc of one colour on nothing, premultiplied."""
    y, x = np.mgrid[:64, :64]
    inside = (y - 32) ** 2 + (x - 32) ** 2 < 28**2
    return np.where(inside[..., None], np.array([red, green, blue, 255]), 0).astype(np.uint8)


def test_a_red_disc_is_red() -> None:
    picture = disc(220, 40, 40)
    hue = ruling_hue(picture)
    assert hue is not None
    assert colour_name(picture, hue) == "red"


def test_a_grey_disc_has_no_ruling_hue() -> None:
    assert ruling_hue(disc(128, 128, 128)) is None


@pytest.mark.parametrize("word", [word for word in HUES if word != "red"])
@pytest.mark.parametrize("start", [(220, 40, 40), (200, 200, 205)], ids=["coloured", "grey"])
def test_a_recoloured_disc_shows_the_new_colour(word: str, start: tuple[int, int, int]) -> None:
    picture = disc(*start)
    painted = recolour(picture, word, ruling_hue(picture))
    hue = ruling_hue(painted)
    assert hue is not None
    assert colour_name(painted, hue) == word


def test_recolouring_leaves_the_outline_alone() -> None:
    picture = disc(220, 40, 40)
    assert np.array_equal(recolour(picture, "blue", ruling_hue(picture))[..., 3], picture[..., 3])
