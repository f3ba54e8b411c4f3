"""Standard normal numbers as CUDA draws them, made on the CPU: Philox4x32-10 and the Box-Muller transform.

Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011). Each number has a counter
of its own, as in A1111's noise source "NV". torch itself takes four numbers from a counter where a tensor has
more numbers than the GPU has threads (10^5 or so): such a tensor comes out otherwise there.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

ROUNDS = 10
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
"""What each round adds to the key: the golden ratio and the square root of 3, less 1, in 32 bits."""
MASK = 0xFFFFFFFF
TAU = float(np.float32(2 * math.pi))
"""cuRAND's constant has single precision."""


def philox4x32(counter: NDArray[np.uint64], key: tuple[int, int]) -> NDArray[np.uint64]:
    """Philox4x32-10: four random words for each counter.

    Args:
        counter: Four 32-bit words for each of n counters, [4, n].
        key: Two 32-bit words.

    Returns:
        32-bit words [4, n].
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(ROUNDS):
        p0, p1 = c0 * np.uint64(MULTIPLIERS[0]), c2 * np.uint64(MULTIPLIERS[1])
        c0, c1 = _high(p1) ^ c1 ^ np.uint64(k0), _low(p1)
        c2, c3 = _high(p0) ^ c3 ^ np.uint64(k1), _low(p0)
        k0, k1 = (k0 + WEYL[0]) & MASK, (k1 + WEYL[1]) & MASK
    return np.stack((c0, c1, c2, c3))


def _high(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    return words >> np.uint64(32)


def _low(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    return words & np.uint64(MASK)


def box_muller(x: NDArray[np.uint64], y: NDArray[np.uint64]) -> NDArray[np.float32]:
    """The sine half of the Box-Muller transform of two 32-bit words: standard normal numbers."""
    u, v = (x + 0.5) / 2**32, (y + 0.5) / 2**32
    return (np.sqrt(-2 * np.log(u)) * np.sin(TAU * v)).astype(np.float32)


class PhiloxGenerator:
    """A stream of standard normal numbers, as `torch.randn` with a CUDA generator of that seed gives.

    Args:
        seed: From 0 to 2**64 - 1.
    """

    def __init__(self, seed: int) -> None:
        self._key = (seed & MASK, seed >> 32)
        self._draws = 0

    def randn(self, shape: tuple[int, ...]) -> Tensor:
        """The next standard normal numbers, float32 on the CPU."""
        counter = np.zeros((4, math.prod(shape)), dtype=np.uint64)
        counter[0] = self._draws
        counter[2] = np.arange(counter.shape[1])
        self._draws += 1
        x, y, *_ = philox4x32(counter, self._key)
        return torch.from_numpy(box_muller(x, y)).reshape(shape)
