"""Pictures that tile: a network without edges does the same to a picture that is moved around."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sfumato.models import PromptText
from sfumato_engine.tiling import wrapped_around

from ..tiny_models import sd
from .drawing import loaded


@pytest.mark.parametrize("wanted", [True, False])
def test_a_moved_picture_is_denoised_and_decoded_to_the_moved_result(tmp_path: Path, wanted: bool) -> None:
    model = loaded(sd.write_sd15(tmp_path))
    conditioning = [model.condition(PromptText(((("a sky", 1.0),),)), {})]
    x = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(1))
    moved = torch.roll(x, (8, 8), dims=(2, 3))
    with wrapped_around([model], wanted=wanted):
        denoised, of_moved = (model.denoise(each, 2.0, conditioning, {}) for each in (x, moved))
        decoded, decoded_moved = (model.decode(each) for each in (denoised, of_moved))
    for one, other, shift in ((denoised, of_moved, 8), (decoded, decoded_moved, 64)):
        same = torch.allclose(torch.roll(one, (shift, shift), dims=(2, 3)), other, atol=1e-4)
        assert same == wanted
