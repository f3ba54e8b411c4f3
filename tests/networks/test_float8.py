"""fp8 made wider is what torch's own cast makes of it, number by number."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from sfumato_networks.stored.float8 import widened
from sfumato_networks.stored.plain import PlainWeight
from sfumato_networks.stored.tensor import WeightTensor

KINDS = (torch.float8_e4m3fn, torch.float8_e5m2)
EVERY = torch.arange(256, dtype=torch.uint8)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("kind", KINDS)
def test_every_number_stays_the_same(kind: torch.dtype, dtype: torch.dtype) -> None:
    narrow = EVERY.view(kind)
    assert torch.equal(widened(narrow, dtype).isnan(), narrow.float().isnan())
    numbers = narrow[~narrow.float().isnan()]
    assert torch.equal(widened(numbers, dtype), numbers.to(dtype))


@pytest.mark.parametrize("kind", KINDS)
def test_weights_of_any_size_and_layout_are_widened(kind: torch.dtype) -> None:
    for weight in (torch.randn(1200, 700), torch.randn(64, 32).T, torch.randn(0, 4)):
        narrow = weight.to(kind)
        assert torch.equal(widened(narrow, torch.float32), narrow.float())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", [None, torch.tensor([0.5]), torch.rand(3000)])
@pytest.mark.parametrize("tokens", [1, 300])
def test_a_linear_layer_in_tiles_multiplies_by_all_rows(
    kind: torch.dtype, scale: torch.Tensor | None, tokens: int
) -> None:
    weight = PlainWeight(torch.randn(3000, 512).to(kind), scale)
    x, bias = torch.randn(tokens, 512), torch.randn(3000)
    numbers = weight.data.float() * (1 if scale is None else scale[:, None])
    assert torch.equal(weight.dequantised(torch.float32), numbers)
    found = F.linear(x, WeightTensor(weight, torch.float32), bias)
    torch.testing.assert_close(found, F.linear(x, numbers, bias), rtol=1e-4, atol=1e-3)
