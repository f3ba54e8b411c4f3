"""Noise from each picture's own seed, so that a picture does not depend on its neighbours in a batch.

All noise is drawn on the CPU in float32 and then moved: the same seed gives the same noise on every device.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor


class ImageNoise:
    """The starting noise of a batch, and a `sfumato.sampling.NoiseSource` for stochastic samplers.

    Fresh noise is the increment of a Brownian path, one path a picture, scaled to unit variance: draws over
    overlapping intervals are correlated as an SDE solver needs them, draws over consecutive intervals are
    independent. The path is filled in where it is asked for (a Brownian bridge between known points).

    Args:
        seeds: One a picture.
        shape: Of one picture's latents, (c, h, w).
        device: Where the noise is used.
    """

    def __init__(self, seeds: Sequence[int], shape: tuple[int, ...], device: str) -> None:
        self._generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self._shape = shape
        self._device = device
        self._path: dict[float, Tensor] = {}

    def initial(self) -> Tensor:
        """Standard normal starting noise [b, c, h, w]; to be called first and once."""
        return self._draw().to(self._device)

    def __call__(self, sigma: float, sigma_next: float) -> Tensor:
        """Standard normal noise [b, c, h, w] for the step from `sigma` to `sigma_next`."""
        if sigma == sigma_next:
            return self._draw().to(self._device)
        start, end = self._path_at(sigma), self._path_at(sigma_next)
        self._path = {known: value for known, value in self._path.items() if known <= sigma}
        return ((end - start) / math.sqrt(abs(sigma - sigma_next))).to(self._device)

    def _draw(self) -> Tensor:
        return torch.stack([torch.randn(self._shape, generator=generator) for generator in self._generators])

    def _path_at(self, sigma: float) -> Tensor:
        """The path W at `sigma`: known, bridged between its neighbours, or continued from the nearer end."""
        if sigma not in self._path:
            below = max((known for known in self._path if known < sigma), default=None)
            above = min((known for known in self._path if known > sigma), default=None)
            self._path[sigma] = self._new_point(below, sigma, above)
        return self._path[sigma]

    def _new_point(self, below: float | None, sigma: float, above: float | None) -> Tensor:
        if below is not None and above is not None:
            fraction = (sigma - below) / (above - below)
            mean = torch.lerp(self._path[below], self._path[above], fraction)
            return mean + math.sqrt((sigma - below) * (1 - fraction)) * self._draw()
        neighbour = below if below is not None else above
        if neighbour is None:
            return torch.zeros(len(self._generators), *self._shape)
        return self._path[neighbour] + math.sqrt(abs(sigma - neighbour)) * self._draw()
