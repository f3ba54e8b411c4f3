"""Adams-Bashforth steps: the polynomial through the slopes at the levels passed, integrated."""

from __future__ import annotations

import math
from collections.abc import Sequence

EQUAL_STEPS = (
    (1.0,),
    (3 / 2, -1 / 2),
    (23 / 12, -16 / 12, 5 / 12),
    (55 / 24, -59 / 24, 37 / 24, -9 / 24),
)
"""Weights of the slopes, newest first, for orders 1 to 4 where all steps are equally long."""


def adams_bashforth(nodes: Sequence[float], end: float) -> list[float]:
    """Weights of slopes known at `nodes`, newest first, for a step from ``nodes[0]`` to `end`.

    They are the integrals of the Lagrange polynomials of at most four nodes: Gauss's rule of two points is
    exact for these cubics.
    """
    half, middle = (end - nodes[0]) / 2, (end + nodes[0]) / 2
    points = [middle + sign * half / math.sqrt(3) for sign in (-1, 1)]
    return [half * sum(lagrange(nodes, j, point) for point in points) for j in range(len(nodes))]


def lagrange(nodes: Sequence[float], j: int, at: float) -> float:
    """The polynomial that is 1 at node `j` and 0 at the others."""
    return math.prod((at - node) / (nodes[j] - node) for k, node in enumerate(nodes) if k != j)
