"""The Flux transformer beside diffusers' own, on random tiny configurations."""

from __future__ import annotations

import pytest
import torch

from sfumato_models_flux.config import FluxConfig, default_axes, expected_shapes
from sfumato_models_flux.transformer import FluxTransformer, image_positions, pack, unpack

from .original_layout import original_tensors

diffusers = pytest.importorskip("diffusers")


def reference(heads: int = 3, head_size: int = 32, guidance: bool = True, seed: int = 0):
    torch.manual_seed(seed)
    model = diffusers.FluxTransformer2DModel(
        patch_size=1,
        in_channels=16,
        num_layers=2,
        num_single_layers=3,
        attention_head_dim=head_size,
        num_attention_heads=heads,
        joint_attention_dim=20,
        pooled_projection_dim=12,
        guidance_embeds=guidance,
        axes_dims_rope=default_axes(head_size),
    )
    for parameter in model.parameters():  # biases and norms are trivial when fresh: a slip in them must show
        torch.nn.init.normal_(parameter, std=0.05)
    return model.eval()


def ours(model) -> FluxTransformer:
    tensors = original_tensors(model.state_dict())
    transformer = FluxTransformer(
        FluxConfig.from_shapes({name: tuple(t.shape) for name, t in tensors.items()})
    )
    transformer.load_state_dict(tensors)
    return transformer.eval()


def velocity(transformer: FluxTransformer, x: dict[str, torch.Tensor]) -> torch.Tensor:
    """Of inputs with positions, as diffusers takes them, in place of the rotary table."""
    rotary = transformer.rotary(x["image_ids"], x["text_ids"])
    return transformer(
        x["image_tokens"], x["timesteps"], x["context"], x["vector"], rotary, x.get("guidance")
    )


def inputs(
    height: int = 8, width: int = 12, words: int = 5, guidance: bool = True
) -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    return {
        "image_tokens": pack(torch.randn(2, 4, height, width)),
        "timesteps": torch.tensor([0.3, 0.96]),
        "context": torch.randn(2, words, 20),
        "vector": torch.randn(2, 12),
        "image_ids": image_positions(height, width),
        "text_ids": torch.zeros(words, 3),
    } | ({"guidance": torch.tensor([3.5, 1.0])} if guidance else {})


def diffusers_velocity(model, x: dict[str, torch.Tensor]) -> torch.Tensor:
    return model(
        hidden_states=x["image_tokens"],
        timestep=x["timesteps"],
        encoder_hidden_states=x["context"],
        pooled_projections=x["vector"],
        img_ids=x["image_ids"],
        txt_ids=x["text_ids"],
        guidance=x.get("guidance"),
        return_dict=False,
    )[0]


@pytest.mark.parametrize(("heads", "head_size", "guidance"), [(3, 32, True), (2, 64, False), (1, 128, True)])
@torch.no_grad()
def test_velocity_equals_that_of_diffusers(heads: int, head_size: int, guidance: bool) -> None:
    model = reference(heads, head_size, guidance)
    x = inputs(guidance=guidance)
    torch.testing.assert_close(velocity(ours(model), x), diffusers_velocity(model, x), atol=1e-5, rtol=1e-5)


def test_gradients_equal_those_of_diffusers() -> None:
    model, x = reference(guidance=False), inputs(guidance=False)
    transformer = ours(model)
    velocity(transformer, x).square().mean().backward()
    diffusers_velocity(model, x).square().mean().backward()
    expected = original_tensors({name: parameter.grad for name, parameter in model.named_parameters()})
    for name, parameter in transformer.named_parameters():
        torch.testing.assert_close(parameter.grad, expected[name], atol=1e-6, rtol=1e-4, msg=name)


def test_trains_under_bfloat16_autocast() -> None:
    transformer, x = ours(reference()), inputs()
    with torch.autocast("cpu", torch.bfloat16):
        found = velocity(transformer, x)
    found.float().square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in transformer.parameters())


@torch.no_grad()
def test_runs_in_bfloat16_close_to_float32() -> None:
    transformer, x = ours(reference()), inputs()
    exact = velocity(transformer, x)
    half = {name: t if name.endswith("_ids") else t.bfloat16() for name, t in x.items()}
    coarse = velocity(transformer.bfloat16(), half)
    assert coarse.dtype == torch.bfloat16
    assert (coarse.float() - exact).abs().max() < 0.05 * exact.abs().max()


def test_packing_equals_that_of_the_flux_pipeline_and_is_undone() -> None:
    latents = torch.randn(2, 3, 6, 10)
    tokens = pack(latents)
    assert torch.equal(tokens, diffusers.FluxPipeline._pack_latents(latents, 2, 3, 6, 10))
    assert torch.equal(unpack(tokens, 6, 10), latents)


def test_positions_equal_those_of_the_flux_pipeline() -> None:
    expected = diffusers.FluxPipeline._prepare_latent_image_ids(1, 3, 5, "cpu", torch.float32)
    assert torch.equal(image_positions(6, 10).float(), expected)


def test_config_is_read_from_shapes() -> None:
    model = FluxTransformer(FluxConfig(16, 96, 3, 1, 2, 20, 12, 2.0, (4, 14, 14), guidance=False))
    shapes = {name: tuple(t.shape) for name, t in model.state_dict().items()}
    assert FluxConfig.from_shapes(shapes) == model.config


@pytest.mark.parametrize("guidance", [True, False])
def test_the_expected_shapes_are_those_of_the_network(guidance: bool) -> None:
    config = FluxConfig(16, 96, 3, 2, 3, 20, 12, 2.5, (4, 14, 14), guidance=guidance)
    shapes = {name: tuple(t.shape) for name, t in FluxTransformer(config).state_dict().items()}
    assert expected_shapes(config) == shapes


def test_config_without_double_blocks_is_read_from_shapes() -> None:
    model = FluxTransformer(FluxConfig(16, 64, 2, 0, 1, 20, 12, 4.0, (4, 14, 14)))
    shapes = {name: tuple(t.shape) for name, t in model.state_dict().items()}
    assert FluxConfig.from_shapes(shapes) == model.config


def test_a_head_that_cannot_be_split_asks_for_axes() -> None:
    with pytest.raises(ValueError, match="give axes"):
        default_axes(24)


def test_guidance_is_demanded_and_refused_as_the_model_is() -> None:
    with pytest.raises(ValueError, match="guidance"):
        velocity(ours(reference(guidance=True)), inputs(guidance=False))
