"""Weights assigned to networks on no memory of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from sfumato.errors import CheckpointError
from sfumato_networks.safetensors_file import MappedTensors
from sfumato_networks.weights import assign_weights, build_empty

save_file = pytest.importorskip("safetensors.torch").save_file


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4))


def weights(**changes: torch.Tensor | None) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    tensors = {name: torch.randn(t.shape) for name, t in network().state_dict().items()} | changes
    return {name: tensor for name, tensor in tensors.items() if tensor is not None}


def test_an_empty_network_has_no_memory() -> None:
    assert all(parameter.is_meta for parameter in build_empty(network).parameters())


def test_building_an_empty_network_leaves_torchs_compiler_alone() -> None:
    program = (
        "import sys; from torch import nn; from sfumato_networks.weights import build_empty\n"
        "build_empty(lambda: nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 4), nn.Conv2d(4, 4, 3)))\n"
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_assigned_weights_are_the_pages_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file(weights(), path)
    tensors, module = MappedTensors(path), build_empty(network)
    assign_weights(module, tensors, where=str(path))
    for name, parameter in module.named_parameters():
        assert parameter.data_ptr() == tensors[name].data_ptr()
        assert not parameter.requires_grad
    assert not module.training


def test_weights_are_found_under_a_prefix_and_others_left_alone() -> None:
    tensors = {f"vae.{name}": tensor for name, tensor in weights().items()} | {"other": torch.zeros(1)}
    module = build_empty(network)
    assign_weights(module, tensors, prefix="vae.", where="model")
    assert torch.equal(module[0].weight, weights()["0.weight"])


def test_weights_are_converted_to_the_type_asked_for() -> None:
    module = build_empty(network)
    tensors = {name: tensor.to(torch.float8_e4m3fn) for name, tensor in weights().items()}
    assign_weights(module, tensors, dtype=torch.float32, where="model")
    assert torch.equal(module[0].weight, tensors["0.weight"].float())


def test_tensors_known_to_be_of_no_use_are_passed_over() -> None:
    module = build_empty(network)
    assign_weights(module, weights(position_ids=torch.arange(3)), ignored=("position_ids",), where="model")
    assert not module[0].weight.is_meta


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"0.weight": None}, "1 tensors are missing: 'p.0.weight'"),
        ({"2.weight": torch.zeros(1)}, "1 tensors have no place in it: 'p.2.weight'"),
        ({"0.weight": torch.zeros(4, 2)}, r"'p.0.weight' has the shape \[4, 2\], not \[4, 3\]"),
        ({"0.weight": torch.zeros(4, 3, dtype=torch.int8)}, "stored as int8"),
    ],
)
def test_weights_that_do_not_fit_name_tensor_and_file(
    changes: dict[str, torch.Tensor | None], reason: str
) -> None:
    tensors = {f"p.{name}": tensor for name, tensor in weights(**changes).items()}
    with pytest.raises(CheckpointError, match=f"some_file.*{reason}"):
        assign_weights(build_empty(network), tensors, prefix="p.", where="some_file")


def test_long_lists_of_missing_tensors_are_cut_short() -> None:
    with pytest.raises(
        CheckpointError, match=r"4 tensors are missing: '0.bias', '0.weight', '1.bias' \.\.\."
    ):
        assign_weights(build_empty(network), {}, where="model")
