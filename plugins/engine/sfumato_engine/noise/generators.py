"""Streams of standard normal numbers, by source and seed."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from sfumato.request import NoiseSource
from sfumato_engine.noise.philox import PhiloxGenerator


class NormalGenerator(Protocol):
    """A stream of standard normal numbers that its seed decides."""

    def randn(self, shape: tuple[int, ...]) -> Tensor:
        """The next numbers, float32 on the CPU."""
        ...


class TorchGenerator:
    """torch's own numbers on the CPU."""

    def __init__(self, seed: int) -> None:
        self._generator = torch.Generator().manual_seed(seed)

    def randn(self, shape: tuple[int, ...]) -> Tensor:
        """The next numbers, float32 on the CPU."""
        return torch.randn(shape, generator=self._generator)


def new_generator(source: NoiseSource, seed: int) -> NormalGenerator:
    """The stream of `seed`, from its beginning."""
    return PhiloxGenerator(seed) if source == "nv" else TorchGenerator(seed)
