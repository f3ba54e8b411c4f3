"""Step noise from a Brownian path that is filled in where it is asked for."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor


class BrownianPath:
    """Increments of Brownian paths, one a picture, scaled to unit variance.

    Draws over overlapping intervals are correlated as an SDE solver needs them, draws over consecutive
    intervals are independent: they are the `draw`s in their order. Between known points the path is a
    Brownian bridge.

    Args:
        draw: The next standard normal noise of `shape`.
        shape: Of a batch, (b, c, h, w).
    """

    def __init__(self, draw: Callable[[], Tensor], shape: tuple[int, ...]) -> None:
        self._draw = draw
        self._shape = shape
        self._path: dict[float, Tensor] = {}

    def __call__(self, sigma: float, sigma_next: float) -> Tensor:
        """Standard normal noise for the step from `sigma` to `sigma_next`; the path above is forgotten."""
        if sigma == sigma_next:
            return self._draw()
        start, end = self._path_at(sigma), self._path_at(sigma_next)
        self._path = {known: value for known, value in self._path.items() if known <= sigma}
        return (end - start) / math.sqrt(abs(sigma - sigma_next))

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
            return torch.zeros(self._shape)
        return self._path[neighbour] + math.sqrt(abs(sigma - neighbour)) * self._draw()
