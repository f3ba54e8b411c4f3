"""The table of positions that SD3 adds to its image tokens."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor

KEPT_SIZES = 8
"""Picture sizes whose positions are kept (12 MB each at 1024x1024 in bfloat16)."""


class PositionTable:
    """A square table, of which a picture gets the middle.

    Args:
        table: [1, side², D], as stored: it stays mapped, and only the rows in use are ever read.
        dtype: The type to compute in.
        device: Where the positions go.
    """

    def __init__(self, table: Tensor, side: int, dtype: torch.dtype, device: str) -> None:
        self.side = side
        self._grid = table.unflatten(1, (side, side))[0]
        self._dtype, self._device = dtype, device
        self._kept: OrderedDict[tuple[int, int], Tensor] = OrderedDict()

    def of_size(self, rows: int, columns: int) -> Tensor:
        """The positions [rows·columns, D] of so many patches, neither of which may be above the side."""
        found = self._kept.get((rows, columns))
        if found is None:
            top, left = (self.side - rows) // 2, (self.side - columns) // 2
            middle = self._grid[top : top + rows, left : left + columns]
            found = middle.flatten(0, 1).to(self._device, self._dtype)
            self._kept[rows, columns] = found
            while len(self._kept) > KEPT_SIZES:
                self._kept.popitem(last=False)
        return found
