"""The change that each kind comes to equals what the trainer's own module does to its layer."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
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
    if product := change.low_rank():
        down, up = product
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
@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("kind", RANKED)
def test_kinds_with_a_rank(lycoris: ModuleType, kind: str, setting: str, shape: tuple[int, ...]) -> None:
    if kind == "glora" and setting == "rank stabilised":
        pytest.skip("its files leave that to the metadata")
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
