"""Upscalers without a network give what Pillow and torch give."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from sfumato.studio import Studio
from sfumato.upscaling import UpscaleContext, find_upscaler

from .networks import picture

FILTERS = {
    "Lanczos": Image.Resampling.LANCZOS,
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
    "Nearest": Image.Resampling.NEAREST,
    "None": Image.Resampling.LANCZOS,
}
LATENT_MODES = {
    "Latent": ("bilinear", False),
    "Latent (antialiased)": ("bilinear", True),
    "Latent (bicubic)": ("bicubic", False),
    "Latent (bicubic antialiased)": ("bicubic", True),
    "Latent (nearest)": ("nearest", False),
    "Latent (nearest-exact)": ("nearest-exact", False),
}
"""The labels of A1111's hires fix, and what it hands to torch."""


def called(name: str, tensor: torch.Tensor, width: int, height: int) -> torch.Tensor:
    studio = Studio()
    found = find_upscaler(name, studio.registries, studio.library)
    return found.entry.load()(tensor, width, height, UpscaleContext())


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("size", [(97, 64), (23, 11), (80, 15)])
def test_a_resampled_picture_is_pillows_up_to_its_rounding_to_bytes(name: str, size: tuple[int, int]) -> None:
    given = (
        picture() * 0.6 + 0.2
    )  # Pillow would cut off what overshoots after its first pass, we after the last
    bytes_given = given[0].permute(1, 2, 0).mul(255).round().byte()
    expected = np.asarray(Image.fromarray(bytes_given.numpy()).resize(size, FILTERS[name]), np.int16)
    found = called(name, bytes_given.permute(2, 0, 1)[None] / 255, *size)
    assert found.dtype == torch.float32
    assert np.abs(found[0].permute(1, 2, 0).mul(255).round().numpy() - expected).max() <= 1


@pytest.mark.parametrize("name", LATENT_MODES)
@pytest.mark.parametrize("size", [(15, 12), (5, 3)])
def test_latents_are_interpolated_as_torch_does(name: str, size: tuple[int, int]) -> None:
    latents = torch.randn(2, 4, 6, 8, generator=torch.Generator().manual_seed(3))
    mode, antialias = LATENT_MODES[name]
    expected = torch.nn.functional.interpolate(latents, size[::-1], mode=mode, antialias=antialias)
    assert called(name, latents, *size).equal(expected)


def test_pictures_of_a_batch_do_not_mix_and_colours_stay_in_range() -> None:
    given = torch.cat([picture(seed=1), picture(seed=2).round()])
    together = called("Lanczos", given, 90, 70)
    assert together.min() >= 0
    assert together.max() <= 1
    for i in range(2):
        assert called("Lanczos", given[i : i + 1], 90, 70).equal(together[i : i + 1])
