"""Weights with adapters merged in."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sfumato_adapters.merging import MergedParameter

from .simple_changes import Product, Share, normal, pieces_of, product, summed

TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 2**-7, torch.float16: 2**-9}


def linear(dtype: torch.dtype = torch.float32) -> nn.Linear:
    layer = nn.Linear(12, 20)
    layer.weight = nn.Parameter(normal(20, 12).to(dtype), requires_grad=False)
    return layer


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize(
    "changes",
    [
        [product(20, 12)],
        [product(20, 12), product(20, 12, rank=5, seed=2)],
        [product(6, 12, rows=(4, 10)), product(5, 12, seed=2, rows=(12, 17))],
        [product(20, 12), product(6, 12, seed=2, rows=(4, 10))],
        [Share(0.3), product(20, 12)],
    ],
    ids=["one", "two", "rows apart", "rows that overlap", "no product"],
)
def test_a_merged_weight_is_the_sum_rounded_once(dtype: torch.dtype, changes: list[Product | Share]) -> None:
    layer, strengths = linear(dtype), [0.8, -0.5][: len(changes)]
    expected = summed(layer.weight, changes, strengths)
    MergedParameter(layer, "weight").merge(pieces_of(*changes), strengths)
    assert layer.weight.dtype == dtype
    torch.testing.assert_close(layer.weight.double(), expected, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


def test_a_convolution_takes_products_of_channels_and_kernel() -> None:
    layer = nn.Conv2d(4, 6, 3)
    change = product(6, 36)
    expected = summed(layer.weight, [change], [0.7])
    MergedParameter(layer, "weight").merge(pieces_of(change), [0.7])
    torch.testing.assert_close(layer.weight.double(), expected, rtol=1e-5, atol=1e-5)


def test_fewer_ranks_are_the_first_ones() -> None:
    layer, change = linear(), product(20, 12, rank=5)
    expected = summed(layer.weight, [Product(change.down[:2], change.up[:, :2])], [1.0])
    MergedParameter(layer, "weight").merge(pieces_of(change, ranks=2), [1.0])
    torch.testing.assert_close(layer.weight.double(), expected, rtol=1e-5, atol=1e-5)


def test_the_original_is_neither_copied_nor_written_to_and_comes_back_as_the_same_object() -> None:
    layer = linear(torch.bfloat16)
    original, numbers = layer.weight, layer.weight.clone()
    parameter = MergedParameter(layer, "weight")
    parameter.merge(pieces_of(product(20, 12)), [1.0])
    assert layer.weight is not original
    parameter.undo()
    assert layer.weight is original
    assert layer.weight.equal(numbers)


def test_strengths_there_and_back_give_the_same_bits_in_the_same_memory() -> None:
    layer = linear(torch.bfloat16)
    pieces = pieces_of(product(20, 12), product(20, 12, seed=2))
    parameter = MergedParameter(layer, "weight")
    parameter.merge(pieces, [0.8, 0.3])
    first, memory = layer.weight.clone(), layer.weight.data_ptr()
    parameter.merge(pieces[1:], [0.0, 1.0])
    assert not layer.weight.equal(first)
    parameter.merge(pieces, [0.8, 0.3])
    assert layer.weight.equal(first)
    assert layer.weight.data_ptr() == memory


def test_a_strength_of_0_leaves_the_original_in_force() -> None:
    layer = linear()
    original = layer.weight
    MergedParameter(layer, "weight").merge(pieces_of(product(20, 12)), [0.0])
    assert layer.weight is original


def test_a_bias_takes_changes_as_a_weight_does() -> None:
    layer = nn.Linear(12, 20)
    original, change = layer.bias, Share(0.5, parameter="bias")
    parameter = MergedParameter(layer, "bias")
    parameter.merge(pieces_of(change), [2.0])
    torch.testing.assert_close(layer.bias, 2 * original)
    parameter.undo()
    assert layer.bias is original


def test_a_merge_made_in_inference_mode_can_be_changed_outside_of_it() -> None:
    layer, pieces = linear(), pieces_of(product(20, 12))
    parameter = MergedParameter(layer, "weight")
    with torch.inference_mode():
        parameter.merge(pieces, [1.0])
    parameter.merge(pieces, [0.5])
    with torch.inference_mode():
        parameter.merge(pieces, [0.25])
        assert layer(normal(2, 12)).isfinite().all()
