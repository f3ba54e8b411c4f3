"""Our reading of diffusers' names beside diffusers' own converter of original files."""

from __future__ import annotations

import pytest
import torch

from sfumato_models_flux.config import FluxConfig, expected_shapes

from .original_layout import original_tensors

pytest.importorskip("diffusers")


@pytest.mark.parametrize("guidance", [True, False])
def test_what_diffusers_converts_comes_back_as_it_was(guidance: bool) -> None:
    from diffusers.loaders.single_file_utils import convert_flux_transformer_checkpoint_to_diffusers

    # The converter knows one width only, 3072, but it looks at rows alone: two columns do.
    config = FluxConfig(double_blocks=2, single_blocks=3, guidance=guidance)
    original = {
        name: torch.arange(shape[0] * (2 if len(shape) > 1 else 1), dtype=torch.int32).reshape(
            (shape[0], 2) if len(shape) > 1 else shape
        )
        for name, shape in expected_shapes(config).items()
    }
    converted = convert_flux_transformer_checkpoint_to_diffusers(dict(original))
    back = original_tensors(converted)
    assert back.keys() == original.keys()
    assert all(torch.equal(back[name], tensor) for name, tensor in original.items())
