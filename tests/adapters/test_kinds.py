"""The change that each kind comes to equals what the trainer's own module does to its layer."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from itertools import product
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sfumato_adapters.kinds import kinds_of, slots_of
from sfumato_adapters.kinds.delta import Delta
from sfumato_adapters.kinds.dora import decomposed
from sfumato_adapters.kinds.scaling import TrainedScale, read_scaling
from sfumato_adapters.layouts.spelling import split_suffix
from sfumato_adapters.peft_metadata import TrainedScales

LINEAR = (48, 36)
CONVOLUTION = (16, 36, 3, 3)
SQUARE = (36, 36)


@pytest.fixture(scope="module")
def lycoris() -> ModuleType:
    """Its modules; its import warns of nothing that is ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("lycoris")
        from lycoris import modules
    return modules


def layer_of(shape: tuple[int, ...], seed: int = 0) -> nn.Module:
    """A linear layer or a convolution with random weights."""
    generator = torch.Generator().manual_seed(seed)
    layer: nn.Module
    if len(shape) == 2:
        layer = nn.Linear(shape[1], shape[0])
    else:
        layer = nn.Conv2d(shape[1], shape[0], shape[2], padding=1)
    for parameter in layer.parameters():
        parameter.data.copy_(torch.randn(parameter.shape, generator=generator))
    return layer.requires_grad_(False)


def inputs_of(layer: nn.Module) -> Tensor:
    generator = torch.Generator().manual_seed(9)
    shape = (5, layer.weight.shape[1]) if layer.weight.ndim == 2 else (2, layer.weight.shape[1], 6, 6)
    return torch.randn(shape, generator=generator)


def trained(module: nn.Module) -> nn.Module:
    """The module as if training had moved all it learns."""
    generator = torch.Generator().manual_seed(3)
    for name, parameter in module.named_parameters():
        if "dora" in name:
            parameter.data.mul_(1 + 0.3 * torch.rand(parameter.shape, generator=generator))
        elif "scalar" in name:
            parameter.data.fill_(0.7)
        else:
            parameter.data.copy_(0.4 * torch.randn(parameter.shape, generator=generator))
    return module.requires_grad_(False).eval()


def changes_of(tensors: Mapping[str, Tensor], layer: nn.Module) -> dict[str, tuple[str, Delta]]:
    """Kind and change of each parameter, from tensors as a file names them."""
    by_slot = {}
    for name, tensor in tensors.items():
        split = split_suffix(f"layer.{name}")
        assert split is not None, name
        by_slot[split[1]] = tensor
    kinds = kinds_of({slot: tuple(tensor.shape) for slot, tensor in by_slot.items()})
    assert set(by_slot) <= slots_of(kinds)
    found = {}
    for kind in kinds:
        shape = tuple(getattr(layer, kind.parameter).shape)
        change = kind.build(by_slot, shape, read_scaling(by_slot, TrainedScale()))
        if kind.parameter == "weight":
            change = decomposed(change, by_slot, shape)
        found[kind.parameter] = (kind.name, change)
    return found


def assert_same_effect(module: nn.Module, layer: nn.Module, kind: str) -> Delta:
    """The stored module changes the layer's weight as it changes the layer's outputs."""
    name, change = changes_of(module.state_dict(), layer)["weight"]
    x = inputs_of(layer)
    expected = module(x) - layer(x)
    changed = change.delta(layer.weight)
    found = nn.functional.linear(x, changed) if x.ndim == 2 else nn.functional.conv2d(x, changed, padding=1)
    assert name == kind
    assert changed.shape == layer.weight.shape
    assert changed.dtype == torch.float32
    assert expected.abs().max() > 0.05
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    if factors := change.low_rank():
        down, up = factors
        torch.testing.assert_close((up @ down).reshape(changed.shape), changed, rtol=1e-5, atol=1e-5)
    return change


RANKED = {"lora": "LoConModule", "loha": "LohaModule", "lokr": "LokrModule", "glora": "GLoRAModule"}
SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "other alpha": {"alpha": 3},
    "rank stabilised": {"alpha": 2, "rs_lora": True},
    "scalar": {"use_scalar": True},
    "by Tucker": {"use_tucker": True},
}


@pytest.mark.parametrize("shape", [LINEAR, CONVOLUTION, SQUARE], ids=str)
@pytest.mark.parametrize(
    ("kind", "setting"),
    [pair for pair in product(RANKED, SETTINGS) if pair != ("glora", "rank stabilised")],
)
def test_kinds_with_a_rank(lycoris: ModuleType, kind: str, setting: str, shape: tuple[int, ...]) -> None:
    layer = layer_of(shape)
    settings = {"lora_dim": 2, "alpha": 1, **SETTINGS[setting]}
    change = assert_same_effect(trained(getattr(lycoris, RANKED[kind])("x", layer, **settings)), layer, kind)
    assert (change.low_rank() is not None) == (kind == "lora")


@pytest.mark.parametrize(
    "settings",
    [
        {"decompose_both": True},
        {"full_matrix": True, "alpha": 7},
        {"factor": 2},
        {"unbalanced_factorization": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("shape", [(64, 48), (64, 48, 3, 3)], ids=str)
def test_lokr_however_its_matrices_are_split(
    lycoris: ModuleType, settings: dict[str, Any], shape: tuple[int, ...]
) -> None:
    layer = layer_of(shape)
    settings = {"lora_dim": 2, "alpha": 1, **settings}
    assert_same_effect(trained(lycoris.LokrModule("x", layer, **settings)), layer, "lokr")


@pytest.mark.parametrize("on_outputs", [True, False])
@pytest.mark.parametrize("shape", [LINEAR, CONVOLUTION, SQUARE], ids=str)
@pytest.mark.parametrize("kind", ["lora", "loha", "lokr"])
def test_lengths_by_output_or_by_input(
    lycoris: ModuleType, kind: str, shape: tuple[int, ...], on_outputs: bool
) -> None:
    layer = layer_of(shape)
    settings = {"lora_dim": 2, "alpha": 1, "weight_decompose": True, "wd_on_out": on_outputs}
    change = assert_same_effect(trained(getattr(lycoris, RANKED[kind])("x", layer, **settings)), layer, kind)
    assert change.low_rank() is None


@pytest.mark.parametrize("settings", [{}, {"constraint": 0.02}, {"rescaled": True}], ids=str)
@pytest.mark.parametrize("shape", [(32, 16), (16, 8, 3, 3)], ids=str)
@pytest.mark.parametrize(("kind", "module"), [("oft", "DiagOFTModule"), ("boft", "ButterflyOFTModule")])
def test_rotations(
    lycoris: ModuleType, kind: str, module: str, shape: tuple[int, ...], settings: dict[str, Any]
) -> None:
    layer = layer_of(shape)
    assert_same_effect(trained(getattr(lycoris, module)("x", layer, lora_dim=4, **settings)), layer, kind)


@pytest.mark.parametrize("on_inputs", [True, False])
@pytest.mark.parametrize("shape", [LINEAR, CONVOLUTION], ids=str)
def test_factors_of_outputs_or_inputs(lycoris: ModuleType, shape: tuple[int, ...], on_inputs: bool) -> None:
    layer = layer_of(shape)
    assert_same_effect(trained(lycoris.IA3Module("x", layer, train_on_input=on_inputs)), layer, "ia3")


def test_glora_leaves_the_root_of_the_rank_to_the_metadata(lycoris: ModuleType) -> None:
    layer = layer_of(LINEAR)
    module = trained(lycoris.GLoRAModule("x", layer, lora_dim=4, alpha=3, rs_lora=True))
    stem = "lora_unet_attention_qkv"
    metadata = {"ss_network_args": '{"algo": "glora", "rs_lora": "True"}'}
    scale = TrainedScales(metadata).of(stem, "glora")
    by_slot = {name.removesuffix(".weight"): tensor for name, tensor in module.state_dict().items()}
    (kind,) = kinds_of({slot: tuple(tensor.shape) for slot, tensor in by_slot.items()})
    change = kind.build(by_slot, LINEAR, read_scaling(by_slot, scale))
    x = inputs_of(layer)
    expected = module(x) - layer(x)
    torch.testing.assert_close(x @ change.delta(layer.weight).T, expected, rtol=1e-4, atol=1e-4)
    assert not TrainedScales(metadata).of(stem, "lora").rank_stabilised


def test_glora_of_the_first_versions_has_its_matrices_the_other_way_round(lycoris: ModuleType) -> None:
    layer = layer_of(LINEAR)
    stored = trained(lycoris.GLoRAModule("x", layer, lora_dim=4, alpha=3)).state_dict()
    turned = {"a1": "a2", "a2": "a1", "b1": "b2", "b2": "b1"}
    early = {"alpha": stored["alpha"]}
    early |= {f"{new}.weight": stored[f"{old}.weight"] for new, old in turned.items()}
    (_, now), (_, then) = (changes_of(tensors, layer)["weight"] for tensors in (stored, early))
    assert now.delta(layer.weight).equal(then.delta(layer.weight))


def test_early_oft_stores_the_rotations_themselves(lycoris: ModuleType) -> None:
    layer = layer_of((32, 16))
    module = trained(lycoris.DiagOFTModule("x", layer, lora_dim=4))
    _, now = changes_of(module.state_dict(), layer)["weight"]
    _, then = changes_of({"oft_diag": module.get_r()}, layer)["weight"]
    torch.testing.assert_close(then.delta(layer.weight), now.delta(layer.weight))


@pytest.mark.parametrize("shape", [LINEAR, CONVOLUTION], ids=str)
def test_full_differences_of_weight_and_bias(lycoris: ModuleType, shape: tuple[int, ...]) -> None:
    layer = layer_of(shape)
    module = trained(lycoris.FullModule("x", layer))
    stored = {"diff": module.weight, "diff_b": module.bias}
    merged = module.get_merged_weight()
    for parameter, expected in zip(("weight", "bias"), merged, strict=True):
        kind, change = changes_of(stored, layer)[parameter]
        original = getattr(layer, parameter)
        assert kind == "full"
        torch.testing.assert_close(original + change.delta(original), expected)


@pytest.mark.parametrize("layer", [nn.LayerNorm(12), nn.GroupNorm(3, 12)], ids=["layer", "group"])
def test_norms(lycoris: ModuleType, layer: nn.Module) -> None:
    layer.requires_grad_(False)
    module = trained(lycoris.NormModule("x", layer))
    merged = module.get_merged_weight()
    for parameter, expected in zip(("weight", "bias"), merged, strict=True):
        kind, change = changes_of(module.state_dict(), layer)[parameter]
        original = getattr(layer, parameter)
        assert kind == "norm"
        torch.testing.assert_close(original + change.delta(original), expected)


@pytest.mark.parametrize("of_inputs", [True, False])
def test_ia3_of_peft(of_inputs: bool) -> None:
    peft = pytest.importorskip("peft")
    network = nn.Sequential(layer_of(LINEAR))
    original = network[0].weight.clone()
    config = peft.IA3Config(target_modules=["0"], feedforward_modules=["0"] if of_inputs else [])
    network = peft.get_peft_model(network, config)
    for name, parameter in network.named_parameters():
        if "ia3_l" in name:
            parameter.data.copy_(torch.linspace(-1, 2, parameter.numel()).reshape(parameter.shape))
    (stored,) = peft.get_peft_model_state_dict(network).items()
    layer = layer_of(LINEAR)
    kind, change = changes_of({stored[0].rpartition(".")[2]: stored[1]}, layer)["weight"]
    assert kind == "ia3"
    merged = network.merge_and_unload()[0].weight
    torch.testing.assert_close(original + change.delta(original), merged)


def test_values_that_take_the_place_of_the_weight() -> None:
    layer = layer_of(LINEAR)
    value = torch.full(LINEAR, 3.0)
    kind, change = changes_of({"set_weight": value}, layer)["weight"]
    assert kind == "set"
    torch.testing.assert_close(layer.weight + change.delta(layer.weight), value)


def test_a_scale_takes_the_place_of_alpha_and_a_scalar_comes_on_top() -> None:
    scaling = read_scaling({"alpha": torch.tensor(8.0), "scale": torch.tensor(0.5)}, TrainedScale())
    assert scaling.factor(2) == 0.5
    scaling = read_scaling({"alpha": torch.tensor(8.0), "scalar": torch.tensor([0.25])}, TrainedScale())
    assert scaling.factor(2) == 1.0


def test_a_change_lies_on_the_device_of_the_layer_and_leaves_it_alone(lycoris: ModuleType) -> None:
    layer = layer_of(LINEAR).half()
    before = layer.weight.clone()
    for kind, module in RANKED.items():
        stored = trained(getattr(lycoris, module)("x", layer_of(LINEAR), lora_dim=2)).state_dict()
        changed = changes_of(stored, layer)["weight"][1].delta(layer.weight)
        assert (changed.device, changed.dtype) == (layer.weight.device, torch.float32), kind
    assert layer.weight.equal(before)
