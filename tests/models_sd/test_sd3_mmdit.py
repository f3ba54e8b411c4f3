"""The SD3 transformer beside diffusers' own, on random tiny configurations."""

from __future__ import annotations

from math import prod
from typing import Any

import pytest
import torch

from sfumato_models_sd.sd3.config import Sd3Config, expected_shapes
from sfumato_models_sd.sd3.diffusers_keys import is_diffusers_sd3, layers, sources
from sfumato_models_sd.sd3.mmdit import MMDiT
from sfumato_models_sd.sd3.positions import KEPT_SIZES, PositionTable
from sfumato_networks.made_tensors import MadeTensors

diffusers = pytest.importorskip("diffusers")

HEAD = 16
KINDS: dict[str, dict[str, Any]] = {
    "3": {},
    "3.5 large": {"qk_norm": "rms_norm"},
    "3.5 medium": {"qk_norm": "rms_norm", "dual_attention_layers": (0, 1)},
}


def reference(kind: str = "3", **sizes: Any) -> torch.nn.Module:
    torch.manual_seed(0)
    known = {"sample_size": 8, "num_layers": 3, "attention_head_dim": HEAD, "num_attention_heads": 3}
    known |= {"joint_attention_dim": 20, "caption_projection_dim": 3 * HEAD, "pooled_projection_dim": 12}
    model = diffusers.SD3Transformer2DModel(
        **{**known, "in_channels": 4, "out_channels": 4, "pos_embed_max_size": 9, **KINDS[kind], **sizes}
    )
    for parameter in model.parameters():  # biases and norms are trivial when fresh: a slip in them must show
        torch.nn.init.normal_(parameter, std=0.05)
    return model.eval()


def original_tensors(tensors: dict[str, torch.Tensor]) -> MadeTensors:
    return MadeTensors(tensors, sources(tensors))


def ours(model: torch.nn.Module) -> tuple[MMDiT, PositionTable]:
    tensors = dict(original_tensors(model.state_dict()))
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    config = Sd3Config.from_shapes(shapes, head_size=HEAD)
    network = MMDiT(config)
    table = PositionTable(tensors.pop("pos_embed"), config.positions, torch.float32, "cpu")
    network.load_state_dict(tensors)
    return network.eval(), table


def inputs() -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    return {
        "x": torch.randn(2, 4, 8, 14),
        "timesteps": torch.tensor([0.3, 0.96]),
        "context": torch.randn(2, 5, 20),
        "vector": torch.randn(2, 12),
    }


def velocity(network: MMDiT, table: PositionTable, x: dict[str, torch.Tensor]) -> torch.Tensor:
    return network(**x, positions=table.of_size(4, 7))


def diffusers_velocity(model: torch.nn.Module, x: dict[str, torch.Tensor]) -> torch.Tensor:
    return model(
        hidden_states=x["x"],
        timestep=1000 * x["timesteps"],
        encoder_hidden_states=x["context"],
        pooled_projections=x["vector"],
        return_dict=False,
    )[0]


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_velocity_equals_that_of_diffusers(kind: str) -> None:
    model = reference(kind)
    found = velocity(*ours(model), inputs())
    torch.testing.assert_close(found, diffusers_velocity(model, inputs()), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_the_expected_shapes_are_those_of_the_network_with_its_positions(kind: str) -> None:
    network, table = ours(reference(kind))
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    expected = expected_shapes(network.config)
    assert expected.pop("pos_embed") == (1, table.side**2, 3 * HEAD)
    assert expected == shapes


def test_runs_in_bfloat16_close_to_float32() -> None:
    network, table = ours(reference("3.5 medium"))
    with torch.no_grad():
        exact = velocity(network, table, inputs())
        half = {name: t if name == "timesteps" else t.bfloat16() for name, t in inputs().items()}
        positions = table.of_size(4, 7).bfloat16()
        coarse = network.bfloat16()(**half, positions=positions)
    assert coarse.dtype == torch.bfloat16
    assert (coarse.float() - exact).abs().max() < 0.05 * exact.abs().max()


def test_positions_are_kept_for_a_few_sizes_only() -> None:
    _, table = ours(reference())
    first = table.of_size(2, 2)
    assert table.of_size(2, 2) is first
    for columns in range(1, KEPT_SIZES + 1):
        table.of_size(3, columns)
    assert table.of_size(2, 2) is not first


# Diffusers' names


@pytest.mark.parametrize("kind", KINDS)
def test_what_diffusers_converts_comes_back_as_it_was(kind: str) -> None:
    from diffusers.loaders.single_file_utils import convert_sd3_transformer_checkpoint_to_diffusers

    network, _ = ours(reference(kind))
    original = {
        name: torch.arange(prod(shape), dtype=torch.int32).reshape(shape)
        for name, shape in expected_shapes(network.config).items()
    }
    prefixed = {f"model.diffusion_model.{name}": tensor for name, tensor in original.items()}
    converted = convert_sd3_transformer_checkpoint_to_diffusers(prefixed)
    assert converted.keys() == reference(kind).state_dict().keys()
    back = original_tensors(converted)
    assert back.keys() == original.keys()
    assert all(torch.equal(back[name], tensor) for name, tensor in original.items())


def test_only_stacked_tensors_and_the_last_modulations_are_copied() -> None:
    tensors = reference("3.5 medium").state_dict()
    pointers = {tensor.data_ptr() for tensor in tensors.values()}
    copied = {name for name, tensor in original_tensors(tensors).items() if tensor.data_ptr() not in pointers}
    last = ("joint_blocks.2.context_block.adaLN", "final_layer.adaLN")
    assert all(".qkv." in name or name.startswith(last) for name in copied)


def test_two_digits_of_blocks_are_not_taken_apart() -> None:
    tensors = reference(num_layers=12).state_dict()
    assert (
        original_tensors(tensors).keys() == expected_shapes(ours(reference(num_layers=12))[0].config).keys()
    )


def test_diffusers_names_are_told_from_original_ones_and_from_flux() -> None:
    tensors = reference().state_dict()
    assert is_diffusers_sd3(tensors)
    assert not is_diffusers_sd3(original_tensors(tensors))
    flux = diffusers.FluxTransformer2DModel(
        num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=1,
        joint_attention_dim=8, pooled_projection_dim=8, axes_dims_rope=(4, 6, 6),
    )  # fmt: skip
    assert not is_diffusers_sd3(flux.state_dict())


def test_every_layer_has_one_name_of_diffusers() -> None:
    named = [name for _, source in layers(3) for name in source.names]
    assert len(named) == len(set(named))
    stored = {name.rpartition(".")[0] for name in reference("3.5 medium").state_dict()} - {"pos_embed"}
    assert stored <= set(named)
