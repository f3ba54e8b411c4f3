"""Adapters computed beside a layer."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch
from torch import nn

from sfumato_adapters.on_the_fly import Branch, BranchStrengths, can_branch

from .simple_changes import Product, Share, normal, pieces_of, product, summed


def branched(layer: nn.Module, changes: list[Product], strengths: list[float]) -> Branch:
    branch = Branch(layer, pieces_of(*changes), layer.weight.dtype)
    BranchStrengths([branch]).set(strengths)
    branch.attach_if_any(strengths)
    return branch


@pytest.mark.parametrize(
    "changes",
    [
        [product(20, 12)],
        [product(20, 12), product(20, 12, rank=5, seed=2)],
        [product(6, 12, rows=(4, 10)), product(5, 12, seed=2, rows=(12, 17))],
        [product(20, 12), product(6, 12, seed=2, rows=(4, 10))],
    ],
    ids=["one", "two", "rows apart", "rows that overlap"],
)
@pytest.mark.parametrize("shape", [(12,), (3, 12), (2, 5, 12)])
def test_a_linear_layer_gives_what_its_merged_weight_would(
    changes: list[Product], shape: tuple[int, ...]
) -> None:
    layer, x, strengths = nn.Linear(12, 20), normal(*shape, seed=9), [0.8, -0.5][: len(changes)]
    merged = summed(layer.weight, changes, strengths)
    expected = nn.functional.linear(x.double(), merged, layer.bias.double())
    with torch.no_grad():
        branched(layer, changes, strengths)
        torch.testing.assert_close(layer(x).double(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("rows", [None, (2, 6)])
def test_a_convolution_gives_what_its_merged_weight_would(rows: tuple[int, int] | None) -> None:
    layer = nn.Conv2d(4, 6, 3, stride=2, padding=1)
    change = product(6 if rows is None else 4, 36, rows=rows)
    x, merged = normal(2, 4, 8, 8, seed=9), summed(layer.weight, [change], [0.7])
    expected = nn.functional.conv2d(x.double(), merged, layer.bias.double(), 2, 1)
    with torch.no_grad():
        branched(layer, [change], [0.7])
        torch.testing.assert_close(layer(x).double(), expected, rtol=1e-5, atol=1e-5)


def test_a_convolution_that_wraps_around_does_so_in_its_branch() -> None:
    layer = nn.Conv2d(4, 6, 3, padding=1, padding_mode="circular")
    change, x = product(6, 36), normal(1, 4, 8, 8, seed=9)
    with torch.no_grad():
        branched(layer, [change], [1.0])
        torch.testing.assert_close(layer(x.roll(3, 3)), layer(x).roll(3, 3))


def test_strengths_change_without_touching_the_layer() -> None:
    layer, change, x = nn.Linear(12, 20), product(20, 12), normal(3, 12, seed=9)
    branch = Branch(layer, pieces_of(change), torch.float32)
    strengths = BranchStrengths([branch])
    weight, numbers = layer.weight, layer.weight.clone()
    with torch.inference_mode():
        for strength in (1.0, 0.25):
            strengths.set([strength])
            branch.attach_if_any([strength])
            merged = summed(layer.weight, [change], [strength])
            expected = nn.functional.linear(x.double(), merged, layer.bias.double())
            torch.testing.assert_close(layer(x).double(), expected, rtol=1e-5, atol=1e-5)
    assert layer.weight is weight
    assert layer.weight.equal(numbers)


def test_at_strength_0_and_when_detached_the_layer_is_as_it_was() -> None:
    layer, x = nn.Linear(12, 20), normal(3, 12, seed=9)
    before = layer(x)
    attributes = set(vars(layer))
    branch = branched(layer, [product(20, 12)], [1.0])
    assert not layer(x).equal(before)
    branch.attach_if_any([0.0])
    assert layer(x).equal(before)
    branch.attach_if_any([1.0])
    branch.detach()
    assert layer(x).equal(before)
    assert set(vars(layer)) == attributes


def test_a_layer_with_a_branch_goes_when_nobody_holds_it() -> None:
    layer = nn.Linear(12, 20)
    gone = weakref.ref(layer)
    gc.disable()
    try:
        branch = branched(layer, [product(20, 12)], [1.0])
        del layer
        assert gone() is None, "a network of gigabytes would stay until the next collection"
    finally:
        gc.enable()
    branch.detach()


def test_only_products_on_plain_layers_are_computed_beside_them() -> None:
    change = pieces_of(product(20, 12), Share(0.5), product(6, 18))
    assert can_branch(nn.Linear(12, 20), change[0])
    assert not can_branch(nn.Linear(12, 20), change[1])
    assert not can_branch(nn.Embedding(20, 12), change[0])
    assert not can_branch(nn.Conv2d(4, 6, 3, groups=2), change[2])
