"""Step noise as k-diffusion draws it, against k-diffusion itself."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest
import torch
import torchsde
from torch import Tensor

from sfumato.errors import BadInput
from sfumato_engine.noise.brownian_tree import BrownianTrees
from sfumato_engine.noise.philox import PhiloxGenerator

SHAPE = (4, 6, 5)
SEEDS = (7, 2**32 - 1)
LEVELS = (0.03, 14.61)
INTERVALS = ((14.61, 9.3), (14.61, 4.2), (4.2, 4.9), (4.2, 0.5), (1.0, 0.03))

# a level in single precision can lie past the end of k-diffusion's tree, which has six decimals
WITHIN_ROUNDING = pytest.mark.filterwarnings("ignore:Should have t:UserWarning")


def fresh() -> Tensor:
    return torch.full((len(SEEDS), *SHAPE), 5.0)


def trees(source: Any = "cpu", levels: tuple[float, float] = LEVELS) -> BrownianTrees:
    return BrownianTrees(SEEDS, SHAPE, source, levels, fresh)


@pytest.fixture
def torchsde_with_philox(monkeypatch: pytest.MonkeyPatch) -> None:
    """torchsde as A1111 changes it where the noise source is NV."""
    module = sys.modules[torchsde.BrownianInterval.__module__]
    monkeypatch.setattr(
        module, "_randn", lambda size, dtype, device, seed: PhiloxGenerator(int(seed)).randn(size)
    )


@WITHIN_ROUNDING
@pytest.mark.parametrize("levels", [LEVELS, (1 / 28, 1.0)])
def test_noise_is_that_of_k_diffusion(k_sampling: ModuleType, levels: tuple[float, float]) -> None:
    ours = trees(levels=levels)
    theirs = k_sampling.BrownianTreeNoiseSampler(fresh(), *levels, seed=SEEDS)
    low, high = levels
    for start, end in ((1.0, 0.7), (1.0, 0.4), (0.4, 0.6), (0.4, 0.1), (0.1, 0.0)):
        interval = low + start * (high - low), low + end * (high - low)
        assert torch.equal(ours(*interval), theirs(*interval))


@WITHIN_ROUNDING
def test_source_nv_draws_the_tree_with_philox(k_sampling: ModuleType, torchsde_with_philox: None) -> None:
    ours, theirs = trees("nv"), k_sampling.BrownianTreeNoiseSampler(fresh(), *LEVELS, seed=SEEDS)
    for interval in INTERVALS:
        assert torch.equal(ours(*interval), theirs(*interval))


def test_source_nv_leaves_torchsde_as_it_is() -> None:
    before = trees()(*INTERVALS[0])
    assert not torch.allclose(trees("nv")(*INTERVALS[0]), before)
    assert torch.equal(trees()(*INTERVALS[0]), before)


def test_noise_does_not_depend_on_what_was_asked_for_before() -> None:
    forwards, backwards = trees(), trees()
    expected = [forwards(*interval) for interval in INTERVALS]
    for interval, noise in reversed(list(zip(INTERVALS, expected, strict=True))):
        assert torch.allclose(backwards(*interval), noise, atol=1e-5)


@pytest.mark.parametrize("interval", [(1.0, 1.0), (1.0, 1.0 + 1e-8), (0.03, 0.0), (20.0, 15.0)])
def test_without_an_interval_between_the_levels_the_noise_is_a_fresh_draw(
    interval: tuple[float, float],
) -> None:
    assert torch.equal(trees()(*interval), fresh())


def test_of_an_interval_that_reaches_below_the_levels_the_part_between_them_counts() -> None:
    assert torch.equal(trees()(1.0, 0.0), trees()(1.0, LEVELS[0]))


def test_one_level_alone_is_no_obstacle() -> None:
    assert torch.equal(trees(levels=(14.6, 14.6))(14.6, 0.0), fresh())


def test_without_torchsde_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(sys.modules):
        if name.partition(".")[0] == "torchsde":
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torchsde", None)
    with pytest.raises(BadInput, match="pip install torchsde"):
        trees()
