"""Weights in stored forms cost no imports: torch's dispatcher would bring a compiler and more along."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
import torch
from torch import nn
from sfumato_networks.stored.plain import PlainWeight
from sfumato_networks.stored.tensor import WeightTensor
from sfumato_networks.weights import load_network

network = nn.Sequential(nn.Embedding(8, 4), nn.Linear(4, 6), nn.Unflatten(1, (6, 1, 1)), nn.Conv2d(6, 2, 1))
stored = {name: tensor.clone() for name, tensor in network.state_dict().items()}
expected = network(torch.arange(8))
stored |= {
    name: WeightTensor(PlainWeight(tensor.bfloat16()), torch.bfloat16)
    for name, tensor in stored.items()
    if tensor.ndim > 1
}
load_network(network, stored, torch.float32, "cpu", where="here")
assert all(isinstance(network[number].weight, WeightTensor) for number in (0, 1, 3))
with torch.inference_mode():
    assert torch.allclose(network(torch.arange(8)), expected, rtol=0.1, atol=0.1)
print(*sys.modules)
"""


def test_loading_and_computing_import_nothing_heavy() -> None:
    child = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert child.returncode == 0, child.stderr
    imported = child.stdout.split()
    assert "torch" in imported
    assert not {"sympy", "torch.distributed.tensor"} & set(imported)
