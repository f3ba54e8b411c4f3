"""Step noise as k-diffusion's SDE samplers draw it, from the Brownian trees of torchsde."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Sequence
from types import ModuleType

import torch
from torch import Tensor

from sfumato.errors import BadInput
from sfumato.request import NoiseSource
from sfumato_engine.noise.philox import PhiloxGenerator

INTERVALS = "torchsde._brownian.brownian_interval"
DIGITS = 6
"""Decimals of sigma that a tree tells apart: torchsde's BrownianTree has a tolerance of 1e-6."""
POOL_SIZE = 24
"""Words of entropy in a tree; torchsde's BrownianTree has the same, and others would give other noise."""


class BrownianTrees:
    """Increments of Brownian trees, one a picture, scaled to unit variance.

    The noise over an interval depends on the seed, the levels and the interval alone, and not on what was
    asked for before; all are rounded to float32 first, as k-diffusion has them. Of an interval that reaches
    beyond the levels the part between them counts; if nothing is left, the noise is a fresh draw.

    Args:
        seeds: One a picture.
        shape: Of one picture's latents, (c, h, w).
        source: Whose random numbers the trees are made of.
        levels: The lowest noise level above 0, and the highest.
        draw: The next standard normal noise of the batch, [b, c, h, w].

    Raises:
        BadInput: torchsde is not installed.
    """

    def __init__(
        self,
        seeds: Sequence[int],
        shape: tuple[int, ...],
        source: NoiseSource,
        levels: tuple[float, float],
        draw: Callable[[], Tensor],
    ) -> None:
        self._low, self._high = (_single(level) for level in levels)
        self._draw = draw
        torchsde = _intervals(source)
        self._trees = [
            torchsde.BrownianInterval(
                self._low.item(),
                self._high.item(),
                size=shape,
                dtype=torch.float32,
                device=torch.device("cpu"),
                entropy=seed,
                tol=10.0**-DIGITS,
                pool_size=POOL_SIZE,
                halfway_tree=True,
            )
            for seed in seeds
        ]

    def __call__(self, sigma: float, sigma_next: float) -> Tensor:
        """Standard normal noise [b, c, h, w] for the step from `sigma` to `sigma_next`."""
        start, end = (_single(level).clamp(self._low, self._high) for level in (sigma, sigma_next))
        low, high = sorted(
            round(level.item(), DIGITS) for level in (start, end)
        )  # the tree rounds its ends so
        if low == high:
            return self._draw()
        increments = torch.stack([tree(low, high) for tree in self._trees]) * torch.sign(end - start)
        return increments / (end - start).abs().sqrt()


def _single(level: float) -> Tensor:
    return torch.tensor(level, dtype=torch.float32)


def _intervals(source: NoiseSource) -> ModuleType:
    """torchsde's module of Brownian intervals, or for the source 'nv' a copy of it that draws with Philox."""
    try:
        module = importlib.import_module(INTERVALS)
    except ModuleNotFoundError as error:
        raise BadInput(
            "The step noise 'brownian_tree' cannot be drawn.",
            why=f"The Python package '{error.name}' is not installed.",
            hint="Install torchsde: pip install torchsde. Or use the step noise 'path'.",
        ) from error
    return _with_philox(module) if source == "nv" else module


def _with_philox(intervals: ModuleType) -> ModuleType:
    """A copy with our draws: the module takes none from outside, and everyone else's stays as it is."""
    spec = intervals.__spec__
    assert spec is not None, "it was imported from a file"
    assert spec.loader is not None
    copy = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(copy)
    vars(copy)["_randn"] = _philox_randn
    return copy


def _philox_randn(size: tuple[int, ...], dtype: torch.dtype, device: torch.device, seed: int) -> Tensor:
    return PhiloxGenerator(int(seed)).randn(size).to(device, dtype)
