"""A tile: as many blocks as caches hold, with the buffers that unpacking them takes.

A pass over a tile costs a fraction of a pass over memory, and buffers that are made once for all tiles of a
weight cost nothing. So unpacking is a row of plain operators, each writing to a buffer of its own, all of
them and their views made beforehand.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import ClassVar

import torch
from torch import Tensor

from sfumato_quant_gguf.blocks.layout import block_type


class Tile(ABC):
    """Blocks of one type on their way to plain numbers.

    Products of a block's scales and its small integers are exact in float32, as float16 has 11 bits and they
    have few; so the order of multiplications is free, and results are those of the format's own arithmetic
    bit for bit as long as zeros keep their signs.

    Attributes:
        packed: uint8 [blocks, bytes of a block]: written by the caller.
        numbers: float32 [blocks, numbers of a block]: what `unpack` makes of it.
    """

    name: ClassVar[str]

    def __init__(self, blocks: int, device: torch.device) -> None:
        layout = block_type(self.name)
        self.blocks = blocks
        self.device = device
        self.packed = self.buffer(blocks, layout.block_bytes, dtype=torch.uint8)
        self.numbers = self.buffer(blocks, layout.block_size)

    @abstractmethod
    def unpack(self) -> None:
        """Makes `numbers` of what is `packed`."""

    def buffer(self, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        return torch.empty(shape, dtype=dtype, device=self.device)

    def constant(self, *values: int) -> Tensor:
        """uint8 [values, 1]: to be broadcast over bytes."""
        return torch.tensor(values, dtype=torch.uint8, device=self.device).unsqueeze(1)

    def field(self, first: int, length: int, dtype: torch.dtype = torch.uint8) -> Tensor:
        """A field of the packed blocks, [blocks, numbers of that type]: a view."""
        return self.packed[:, first : first + length].view(dtype)

    def runs(self, values: Iterable[Tensor], scales: Iterable[Tensor]) -> list[tuple[Tensor, Tensor, Tensor]]:
        """What `multiply` takes: runs of a block's numbers that have one scale.

        A multiplication for each run, over all blocks, is how the runs get to their places: operators on more
        than two dimensions that are not one in memory are several times slower.

        Args:
            values: float32 [blocks, length] each, in the order of the numbers.
            scales: float32 [blocks, 1] each.
        """
        first, found = 0, []
        for value, scale in zip(values, scales, strict=True):
            last = first + value.shape[1]
            found.append((value, scale, self.numbers[:, first:last]))
            first = last
        return found

    def half(self, first: int) -> Tensor:
        """A float16 of the packed blocks, [blocks, 1]: a view."""
        return self.field(first, 2, torch.float16)


def multiply(runs: Iterable[tuple[Tensor, Tensor, Tensor]]) -> None:
    """Writes values times scales to where they belong."""
    for value, scale, place in runs:
        torch.mul(value, scale, out=place)


def gather(fields: Iterable[tuple[Tensor, Tensor]]) -> None:
    """Copies fields to where all blocks' lie together: (place, field) each."""
    for place, field in fields:
        place.copy_(field)


class BitFields:
    """The fields that bytes consist of, each moved to the same bits of a byte of its own.

    Args:
        tile: For its device.
        count: Of fields in a byte, the lowest first.
        width: Of a field in bits.
        target: The lowest bit that they are moved to.
    """

    def __init__(self, tile: Tile, *, count: int, width: int, target: int) -> None:
        positions = [width * number for number in range(count)]
        self._factors = tile.constant(*(1 << target - at for at in positions if at <= target))
        self._shifts = tile.constant(*(at - target for at in positions if at > target))
        self._mask = (1 << width) - 1 << target

    def move(self, source: Tensor, out: Tensor) -> Tensor:
        """Writes the fields of source [1, bytes] to out [count, bytes]."""
        torch.mul(source, self._factors, out=out[: len(self._factors)])
        torch.bitwise_right_shift(source, self._shifts, out=out[len(self._factors) :])
        return out.bitwise_and_(self._mask)
