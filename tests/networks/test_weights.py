"""Weights assigned to networks on no memory of their own."""

from __future__ import annotations

import logging
import subprocess
import sys
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import torch
from torch import nn

from sfumato.errors import CheckpointError
from sfumato_networks.safetensors_file import MappedTensors
from sfumato_networks.weights import build_empty, load_network

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


def load(tensors: Mapping[str, torch.Tensor], dtype: torch.dtype = torch.float32) -> nn.Module:
    return load_network(build_empty(network), tensors, dtype, "cpu", where="some_file")


def test_weights_in_the_type_asked_for_are_the_pages_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file(weights(), path)
    tensors = MappedTensors(path)
    module = load(tensors)
    for name, parameter in module.named_parameters():
        assert parameter.data_ptr() == tensors[name].data_ptr()
        assert not parameter.requires_grad
    assert not module.training


def test_weights_are_converted_to_the_type_asked_for() -> None:
    tensors = {name: tensor.to(torch.float8_e4m3fn) for name, tensor in weights().items()}
    assert torch.equal(load(tensors)[0].weight, tensors["0.weight"].float())


class MadeWhenAsked(Mapping[str, torch.Tensor]):
    """Tensors made anew each time, as a stacked one is; remembers how many of them lived at once."""

    def __init__(self) -> None:
        self.alive: weakref.WeakSet[torch.UntypedStorage] = weakref.WeakSet()
        self.most = 0

    def __getitem__(self, name: str) -> torch.Tensor:
        tensor = weights()[name].double()
        self.alive.add(tensor.untyped_storage())
        self.most = max(self.most, len(self.alive))
        return tensor

    def __iter__(self) -> Iterator[str]:
        return iter(weights())

    def __len__(self) -> int:
        return len(weights())


def test_a_tensor_to_convert_is_let_go_before_the_next_is_asked_for() -> None:
    """A second set of the weights in their stored type would double the memory of a model."""
    tensors = MadeWhenAsked()
    load(tensors)
    assert tensors.most == 1


def test_surplus_tensors_are_warned_of_but_for_those_known_to_be_of_no_use(
    caplog: pytest.LogCaptureFixture,
) -> None:
    position_ids = {"text_model.embeddings.position_ids": torch.arange(3)}
    with caplog.at_level(logging.WARNING):
        load({**weights(), **position_ids})
        assert not caplog.messages
        load({**weights(), **position_ids, "connector.weight": torch.zeros(1), "z": torch.zeros(1)})
    assert caplog.messages == ["2 tensors of 'some_file' are not used, the first is connector.weight"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"0.weight": None}, "1 tensors are missing: '0.weight'"),
        ({"0.weight": torch.zeros(4, 2)}, r"'0.weight' has the shape \[4, 2\], not \[4, 3\]"),
        ({"0.weight": torch.zeros(4, 3, dtype=torch.int8)}, "stored as int8"),
    ],
)
def test_weights_that_do_not_fit_name_tensor_and_file(
    changes: dict[str, torch.Tensor | None], reason: str
) -> None:
    with pytest.raises(CheckpointError, match=f"some_file.*{reason}"):
        load(weights(**changes))


def test_long_lists_of_missing_tensors_are_cut_short() -> None:
    with pytest.raises(
        CheckpointError, match=r"4 tensors are missing: '0.bias', '0.weight', '1.bias' \.\.\."
    ):
        load({})


def test_buffers_of_a_network_and_modules_it_shares_are_filled_too() -> None:
    class Sharing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one = nn.Linear(2, 2)
            self.other = self.one
            self.register_buffer("mean", torch.zeros(3))

    tensors = {name: torch.randn(tensor.shape) for name, tensor in Sharing().state_dict().items()}
    tensors |= {f"one.{kind}": tensors[f"other.{kind}"] for kind in ("weight", "bias")}
    module = load_network(build_empty(Sharing), tensors, torch.float32, "cpu", where="some_file")
    assert module.other is module.one
    assert list(module.state_dict()) == list(tensors)
    for name, tensor in module.state_dict().items():
        assert torch.equal(tensor, tensors[name])
    assert "mean" in dict(module.named_buffers())
