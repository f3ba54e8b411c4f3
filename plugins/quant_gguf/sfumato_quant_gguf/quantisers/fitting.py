"""Scales for groups of numbers: those with the least squared error among several tries.

Each try rounds with a scale that is a little larger or smaller, then takes the scale that is best for these
whole numbers (least squares). Of two, the better is told from sums alone: with the best scale, the error is
what the sum of squares has left of what they explain.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sfumato_quant_gguf.quantisers.packing import reciprocal

_AFFINE_TRIES = tuple(0.2 * step for step in range(-5, 3))
"""Added to the number of levels that the range is divided into."""
_REFITS = 2
_SYMMETRIC_TRIES = tuple(0.2 * step for step in range(-6, 4))
"""Added to the level that the largest number is put at.

Steps half as wide take twice as long, and lose no less.
"""


def fit_affine(values: Tensor, levels: int) -> tuple[Tensor, Tensor]:
    """Scale and offset of ``scale * whole - offset`` with whole numbers in 0..levels, both not negative.

    Args:
        values: float32 [..., k].

    Returns:
        Two of [...]; both are 0 where all numbers are.
    """
    low = values.amin(-1).clamp(max=0)
    span = values.amax(-1).clamp(min=0) - low
    best = span / levels, low, torch.full_like(low, -torch.inf)
    for extra in _AFFINE_TRIES:
        per_level = torch.where(span > 0, (levels + extra) / span, 0.0)
        best = _better_affine(values, per_level, low, levels, best)
    for _ in range(_REFITS):  # numbers near a border may lie on its other side now
        best = _better_affine(values, reciprocal(best[0]), best[1], levels, best)
    return best[0], -best[1]


def _better_affine(
    values: Tensor, per_level: Tensor, low: Tensor, levels: int, best: tuple[Tensor, Tensor, Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """Scale, lowest number and what they explain: the best so far, or those for this way of rounding."""
    whole = ((values - low[..., None]) * per_level[..., None]).round_().clamp_(0, levels)
    count, total = values.shape[-1], values.sum(-1)
    ones, squares, products = whole.sum(-1), (whole * whole).sum(-1), (whole * values).sum(-1)
    below = count * squares - ones * ones
    scale = (count * products - ones * total) / below
    lowest = (squares * total - ones * products) / below
    positive = lowest > 0  # offsets are stored without a sign
    scale = torch.where(positive, products / squares, scale)
    lowest = torch.where(positive, 0.0, lowest)
    explained = scale * products + lowest * total
    better = (explained > best[2]) & (below > 0) & (scale > 0)
    found = scale, lowest, explained
    kept = [torch.where(better, new, old) for new, old in zip(found, best, strict=True)]
    return kept[0], kept[1], kept[2]


def fit_symmetric(values: Tensor, levels: int) -> Tensor:
    """The scale of ``scale * whole`` with whole numbers in -levels..levels-1; it may be negative.

    Args:
        values: float32 [..., k].

    Returns:
        [...]; 0 where all numbers are.
    """
    largest = _largest(values)
    best = torch.zeros_like(largest)
    most = torch.zeros_like(largest)
    for extra in _SYMMETRIC_TRIES:
        for side in (-1, 1):
            per_level = torch.where(largest != 0, side * (levels + extra) / largest, 0.0)
            whole = (values * per_level[..., None]).round_().clamp_(-levels, levels - 1)
            best, most = _better(values, whole, best, most)
    return best


def fit_table(values: Tensor, table: WholeTable, tries: Sequence[float]) -> Tensor:
    """The scale of ``scale * entry`` with entries of a table; it may be negative.

    Args:
        values: float32 [..., k].
        tries: What is added to the entry that the largest number is put at, the first or last of the table.
    """
    largest = _largest(values)
    best = torch.zeros_like(largest)
    most = torch.zeros_like(largest)
    for extra in tries:
        for end in table.ends:
            per_level = torch.where(largest != 0, (end + extra) / largest, 0.0)
            best, most = _better(values, table.entries(values, per_level), best, most)
    return best


class WholeTable:
    """A rising table of whole numbers, and what is nearest to any number.

    Halfway between two entries is a multiple of a half. So the nearest is looked up by halves, which is
    several times as fast as searching.

    Args:
        entries: Small whole numbers.
        device: Where the numbers are that are looked up.
    """

    def __init__(self, entries: Sequence[int], device: torch.device) -> None:
        self.ends = (entries[0], entries[-1])
        self._table = torch.tensor(entries, dtype=torch.float32)
        halves = torch.arange(2 * entries[0], 2 * entries[-1]) / 2 + 0.25
        self._places = torch.bucketize(halves, (self._table[1:] + self._table[:-1]) / 2).to(device)
        self._nearest = self._table.to(device)[self._places]

    def entries(self, values: Tensor, per_level: Tensor) -> Tensor:
        """The nearest entry to each of values [..., k] times per_level [...]."""
        return self._nearest.index_select(0, self._halves(values, per_level)).view(values.shape)

    def places(self, values: Tensor, per_level: Tensor) -> Tensor:
        """The number of that entry in the table, uint8."""
        found = self._places.index_select(0, self._halves(values, per_level)).view(values.shape)
        return found.to(torch.uint8)

    def _halves(self, values: Tensor, per_level: Tensor) -> Tensor:
        scaled = (values * (2 * per_level)[..., None]).sub_(2 * self.ends[0])
        return scaled.clamp_(0, len(self._places) - 1).to(torch.int64).flatten()


def _better(values: Tensor, whole: Tensor, best: Tensor, most: Tensor) -> tuple[Tensor, Tensor]:
    """The better of the best scale so far and the best for these whole numbers."""
    products, squares = (whole * values).sum(-1), (whole * whole).sum(-1)
    scale = torch.where(squares > 0, products / squares, 0.0)
    explained = scale * products
    better = explained > most
    return torch.where(better, scale, best), torch.where(better, explained, most)


def _largest(values: Tensor) -> Tensor:
    """The largest in size, with its sign."""
    return values.gather(-1, values.abs().argmax(-1, keepdim=True)).squeeze(-1)
