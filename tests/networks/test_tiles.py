"""Tiles cover a picture, and fade into each other."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sfumato_networks.tiles import blended, layout, spans

sides = st.integers(1, 70)


@given(
    height=sides,
    width=sides,
    tile=st.integers(0, 40),
    overlap=st.integers(0, 20),
    multiple=st.sampled_from([1, 4, 8]),
)
def test_what_leaves_tiles_as_they_are_leaves_the_picture_as_it_is(
    height: int, width: int, tile: int, overlap: int, multiple: int
) -> None:
    overlap = min(overlap, tile // 2)
    pixels = torch.rand(1, 2, height, width)
    tiles = layout(height, width, tile, overlap, multiple)
    torch.testing.assert_close(blended(pixels, tiles, overlap, lambda part: part), pixels)
    if tile - overlap >= multiple:
        assert all(part.top % multiple == 0 and part.left % multiple == 0 for part in tiles)
        assert all(max(part.height, part.width) < tile + multiple for part in tiles)


@given(length=sides, tile=st.integers(2, 40), multiple=st.sampled_from([1, 3, 8]), overlap=st.integers(0, 20))
def test_neighbours_share_the_overlap(length: int, tile: int, multiple: int, overlap: int) -> None:
    overlap = min(overlap, tile // 2)
    found = spans(length, tile, overlap, multiple)
    assert all(end - start >= overlap for (_, end), (start, _) in pairwise(found))
    assert (found[0][0], found[-1][1]) == (0, length)


def looking_around(channels: int, made: int, stride: int) -> torch.nn.Module:
    """Three convolutions: what they make of a pixel depends on three around it."""
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(channels, 4, 3, padding=1),
        torch.nn.SiLU(),
        torch.nn.Conv2d(4, 4, 3, padding=1),
        torch.nn.SiLU(),
        torch.nn.Conv2d(4, made, 3, padding=1, stride=stride),
    ).requires_grad_(False)


@pytest.mark.parametrize("overlap", [12, 16])
def test_a_network_that_looks_no_farther_than_a_quarter_of_the_overlap_shows_no_seam(overlap: int) -> None:
    network = torch.nn.Sequential(looking_around(3, 12, 1), torch.nn.PixelShuffle(2))
    pixels = torch.rand(1, 3, 70, 90)
    tiled = blended(pixels, layout(70, 90, 32, overlap), overlap, network, units=(1, 2))
    torch.testing.assert_close(tiled, network(pixels), atol=1e-6, rtol=1e-5)


def test_tiles_of_pixels_may_become_smaller_than_they_were() -> None:
    network, pixels = looking_around(3, 4, 2), torch.rand(1, 3, 140, 180)
    tiled = blended(pixels, layout(70, 90, 32, 8), 8, network, units=(2, 1))
    torch.testing.assert_close(tiled, network(pixels), atol=1e-6, rtol=1e-5)


def test_a_step_between_tiles_becomes_a_ramp() -> None:
    brightness = iter([0.0, 1.0])
    row = blended(
        torch.zeros(1, 1, 1, 24), layout(1, 24, 16, 8), 8, lambda part: part + next(brightness)
    ).flatten()
    assert row[:8].eq(0).all()
    assert row[16:].eq(1).all()
    assert row.diff().min() >= 0
    assert row.diff().max() <= 0.25 + 1e-6
