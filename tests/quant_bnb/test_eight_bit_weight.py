"""int8 weights against bitsandbytes, and what operators make of them."""

from __future__ import annotations

import bitsandbytes.functional as oracle
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from sfumato_networks.stored.tensor import WeightTensor
from sfumato_quant_bnb.eight_bit import Int8
from sfumato_quant_bnb.eight_bit_weight import EightBitWeight, packed


@pytest.fixture
def plain() -> Tensor:
    return torch.randn(30, 48, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def weight(plain: Tensor) -> EightBitWeight:
    packed, largest, _ = oracle.int8_vectorwise_quant(plain.half())
    return EightBitWeight(packed, largest)


def test_numbers_are_those_of_bitsandbytes(weight: EightBitWeight) -> None:
    expected = oracle.int8_vectorwise_dequant(weight.packed, weight.largest)
    torch.testing.assert_close(weight.dequantised(torch.float32), expected, rtol=1e-6, atol=0)


def test_plain_weights_are_packed_as_bitsandbytes_does(plain: Tensor) -> None:
    made = Int8().pack(plain.half(), "cpu")
    packed, largest, _ = oracle.int8_vectorwise_quant(plain.half())
    assert torch.equal(made.stored.largest, largest)
    assert (made.stored.packed.int() - packed.int()).abs().max() <= 1  # halves may be rounded either way
    assert (made.plain().float() - plain).abs().max() <= largest.max() / 127


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("bias", [None, torch.randn(30)])
def test_a_linear_layer_multiplies_by_them(
    weight: EightBitWeight, dtype: torch.dtype, bias: Tensor | None
) -> None:
    x = torch.randn(2, 5, 48).to(dtype)
    own = None if bias is None else bias.to(dtype)
    found = F.linear(x, WeightTensor(weight, dtype), own)
    expected = F.linear(x.float(), weight.dequantised(torch.float32), None if own is None else own.float())
    assert found.dtype == dtype
    bound = 1e-5 if dtype == torch.float32 else 0.02
    torch.testing.assert_close(found.float(), expected, rtol=bound, atol=20 * bound)


def test_large_signals_in_float16_stay_finite() -> None:
    weight = EightBitWeight(torch.full((4, 64), 127, dtype=torch.int8), torch.full((4,), 1e-3))
    assert F.linear(torch.full((1, 64), 100.0).half(), WeightTensor(weight, torch.float16)).isfinite().all()


def test_rows_embeddings_and_convolutions_are_those_of_plain_numbers(weight: EightBitWeight) -> None:
    plain = weight.dequantised(torch.float32)
    assert torch.equal(weight.rows(3, 11).dequantised(torch.float32), plain[3:11])
    ids = torch.randint(0, 30, (2, 5))
    assert torch.equal(F.embedding(ids, WeightTensor(weight, torch.float32)), plain[ids])
    kernel = EightBitWeight(weight.packed.view(30, 12, 2, 2), weight.largest)
    x = torch.randn(1, 12, 5, 5)
    found = F.conv2d(x, WeightTensor(kernel, torch.float32))
    torch.testing.assert_close(found, F.conv2d(x, plain.view(30, 12, 2, 2)))


def test_an_output_of_zeros_stays_so() -> None:
    made = Int8().pack(torch.zeros(3, 64), "cpu")
    assert torch.equal(made.plain(), torch.zeros(3, 64))


def test_a_large_weight_is_made_plain_in_parts_that_fit_together() -> None:
    plain = torch.randn(2100, 1024, generator=torch.Generator().manual_seed(0))
    weight = packed(plain)
    expected = weight.packed * (weight.largest / 127).view(-1, 1)
    assert torch.equal(weight.dequantised(torch.float32), expected)
    assert torch.equal(weight.dequantised(torch.bfloat16), expected.bfloat16())
