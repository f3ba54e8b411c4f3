"""Blocks of 32 numbers with one scale: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0."""

from __future__ import annotations

import torch
from torch import Tensor

from sfumato_quant_gguf.blocks.tables import bits_as_bytes
from sfumato_quant_gguf.blocks.tile import Tile, multiply


class Q8_0(Tile):
    """A scale and 32 bytes."""

    name = "Q8_0"

    def __init__(self, blocks: int, device: torch.device) -> None:
        super().__init__(blocks, device)
        self.scale = self.buffer(blocks, 1)
        self.floats = self.buffer(*self.packed.shape)

    def unpack(self) -> None:
        self.scale.copy_(self.half(0))
        self.floats.copy_(self.packed.view(torch.int8))
        torch.mul(self.floats[:, 2:], self.scale, out=self.numbers)


class NibbleTile(Tile):
    """16 bytes hold 32 numbers: the low halves come first.

    The whole block is taken apart, its scales as well: one run over contiguous bytes is faster than many
    short ones, and what is not wanted is left out in the next step.
    """

    def __init__(self, blocks: int, device: torch.device) -> None:
        super().__init__(blocks, device)
        self.scale = self.buffer(blocks, 1)
        self.nibbles = self.buffer(2, *self.packed.shape, dtype=torch.uint8)
        self.floats = self.buffer(2, *self.packed.shape)
        self.values = self.floats[:, :, -16:].unbind()
        self.scaled = self.runs(self.values, (self.scale, self.scale))

    def unpack_nibbles(self, offset: int = 0) -> None:
        """Makes `values`, [blocks, 16] each, of the nibbles less the offset."""
        torch.bitwise_and(self.packed, 15, out=self.nibbles[0])
        torch.bitwise_right_shift(self.packed, 4, out=self.nibbles[1])
        signed = self.nibbles.view(torch.int8)
        self.floats.copy_(signed.sub_(offset) if offset else signed)


class Q4_0(NibbleTile):
    """A scale and 32 nibbles around 8."""

    name = "Q4_0"

    def unpack(self) -> None:
        self.scale.copy_(self.half(0))
        self.unpack_nibbles(8)
        multiply(self.scaled)


class Q4_1(NibbleTile):
    """A scale, a minimum and 32 nibbles."""

    name = "Q4_1"

    def __init__(self, blocks: int, device: torch.device) -> None:
        super().__init__(blocks, device)
        self.minimum = self.buffer(blocks, 1)

    def unpack(self) -> None:
        self.scale.copy_(self.half(0))
        self.minimum.copy_(self.half(2))
        self.unpack_nibbles()
        multiply(self.scaled)
        self.numbers.add_(self.minimum)


class FiveBitTile(NibbleTile):
    """The fifth bits of all 32 numbers are one integer before the nibbles."""

    fifth_bits: Tensor

    def __init__(self, blocks: int, device: torch.device) -> None:
        super().__init__(blocks, device)
        self.indices = self.buffer(blocks, 4, dtype=torch.int32)
        self.spread = self.buffer(blocks * 4, dtype=torch.int64)
        self.integers = self.buffer(blocks, 32)
        fifth = self.field(self.packed.shape[1] - 20, 4)
        self.index_bytes = list(zip(self.indices.unbind(1), fifth.unbind(1), strict=True))
        self.sums = list(zip(self.integers.split(16, dim=1), self.values, strict=True))

    def unpack_integers(self) -> None:
        """Makes `integers` [blocks, 32] of the nibbles and what the table gives for the fifth bits."""
        for index, byte in self.index_bytes:
            index.copy_(byte)
        torch.index_select(self.fifth_bits, 0, self.indices.view(-1), out=self.spread)
        self.integers.copy_(self.spread.view(torch.int8).view(-1, 32))
        self.unpack_nibbles()
        for integers, values in self.sums:
            integers.add_(values)


class Q5_0(FiveBitTile):
    """A scale and 32 numbers of five bits around 16."""

    name = "Q5_0"

    def __init__(self, blocks: int, device: torch.device) -> None:
        super().__init__(blocks, device)
        self.fifth_bits = bits_as_bytes(-16, 0).to(device)

    def unpack(self) -> None:
        self.scale.copy_(self.half(0))
        self.unpack_integers()
        torch.mul(self.integers, self.scale, out=self.numbers)


class Q5_1(FiveBitTile):
    """A scale, a minimum and 32 numbers of five bits."""

    name = "Q5_1"

    def __init__(self, blocks: int, device: torch.device) -> None:
        super().__init__(blocks, device)
        self.minimum = self.buffer(blocks, 1)
        self.fifth_bits = bits_as_bytes(0, 16).to(device)

    def unpack(self) -> None:
        self.scale.copy_(self.half(0))
        self.minimum.copy_(self.half(2))
        self.unpack_integers()
        torch.mul(self.integers, self.scale, out=self.numbers)
        self.numbers.add_(self.minimum)
