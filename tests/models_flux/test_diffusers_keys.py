"""Diffusers' Flux tensors in the original layout; that outputs agree is tested with the transformer."""

from __future__ import annotations

import pytest
import torch

from sfumato_models_flux.config import FluxConfig, expected_shapes
from sfumato_models_flux.diffusers_keys import is_diffusers_flux, sources

from .original_layout import original_tensors

diffusers = pytest.importorskip("diffusers")


def diffusers_tensors(guidance: bool = True) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    model = diffusers.FluxTransformer2DModel(
        in_channels=8,
        num_layers=1,
        num_single_layers=12,  # two digits: names must not be taken apart by their first one
        attention_head_dim=32,
        num_attention_heads=2,
        joint_attention_dim=10,
        pooled_projection_dim=6,
        guidance_embeds=guidance,
        axes_dims_rope=(4, 14, 14),
    )
    return model.state_dict()


@pytest.mark.parametrize("guidance", [True, False])
def test_all_tensors_and_shapes_of_the_original_layout_come_out(guidance: bool) -> None:
    tensors = diffusers_tensors(guidance)
    stored = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    found = {name: source.shape(stored) for name, source in sources(stored).items()}
    assert found == expected_shapes(FluxConfig.from_shapes(found))
    assert found == {name: tuple(tensor.shape) for name, tensor in original_tensors(tensors).items()}


def test_only_stacked_tensors_and_the_last_modulation_are_copied() -> None:
    tensors = diffusers_tensors()
    pointers = {tensor.data_ptr() for tensor in tensors.values()}
    copied = {name for name, tensor in original_tensors(tensors).items() if tensor.data_ptr() not in pointers}
    assert all("qkv" in name or "linear1" in name or name.startswith("final_layer.adaLN") for name in copied)


def test_a_tensor_that_lacks_a_source_is_left_out() -> None:
    tensors = diffusers_tensors()
    del tensors["transformer_blocks.0.attn.to_k.weight"]
    assert "double_blocks.0.img_attn.qkv.weight" not in original_tensors(tensors)


def test_diffusers_names_are_told_from_original_ones() -> None:
    tensors = diffusers_tensors()
    assert is_diffusers_flux(tensors)
    assert not is_diffusers_flux(original_tensors(tensors))
