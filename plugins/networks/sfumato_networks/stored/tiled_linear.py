"""A linear layer by a stored weight, on a processor some of its rows made plain at a time.

A tile stays in the processor's cache until it is multiplied by, and the next one takes the same memory: whole
weights would come in fresh pages, and the system clears those for longer than their numbers take to be made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor

TILE_BYTES = 1 << 22
_MANY_TOKENS = 256
_LARGER = 4
"""Times that tiles are larger from so many tokens on: most of the time goes to products, better at those."""


def tiled_linear(
    x: Tensor, shape: Sequence[int], plain_rows: Callable[[int, int], Tensor], bias: Tensor | None
) -> Tensor:
    """``x W^T + bias`` for x [..., inputs]; gives [..., outputs].

    Args:
        shape: [outputs, inputs] of the weight.
        plain_rows: Gives the rows from the first number to before the last, in the type of x.
    """
    outputs, inputs = shape
    tile = TILE_BYTES * (_LARGER if x.numel() >= _MANY_TOKENS * inputs else 1)
    rows = max(tile // max(inputs * x.dtype.itemsize, 1), 1)
    if rows >= outputs or x.device.type != "cpu":
        return F.linear(x, plain_rows(0, outputs), bias)
    product = torch.empty(*x.shape[:-1], outputs, dtype=x.dtype)
    for first in range(0, outputs, rows):
        last = min(first + rows, outputs)
        own = None if bias is None else bias[first:last]
        product[..., first:last] = F.linear(x, plain_rows(first, last), own)
    return product


def tiled_numbers(
    shape: Sequence[int], dtype: torch.dtype, device: torch.device, plain_rows: Callable[[int, int], Tensor]
) -> Tensor:
    """A whole weight [outputs, ...] made plain; on a processor, what is made on the way stays in its cache.

    Args:
        plain_rows: Gives the rows from the first number to before the last, in a type that may be wider.
    """
    numbers = torch.empty(shape, dtype=dtype, device=device)
    outputs = shape[0]
    rows = outputs if device.type != "cpu" else max(TILE_BYTES // 4 // max(prod(shape[1:]), 1), 1)
    for first in range(0, outputs, rows):
        numbers[first : first + rows] = plain_rows(first, min(first + rows, outputs))
    return numbers
