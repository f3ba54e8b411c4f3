"""Numbers that are -1, 0 or 1 with one scale for 256: TQ1_0, TQ2_0."""

from __future__ import annotations

import torch

from sfumato_quant_gguf.blocks.tile import Tile, multiply


class TQ1_0(Tile):
    """Five numbers in most bytes, four in the last four.

    A byte is a fixed-point fraction in base three: multiplied by a power of three, without what overflows,
    its leading digit is the number.
    """

    name = "TQ1_0"

    def __init__(self, blocks: int, device: torch.device) -> None:
        super().__init__(blocks, device)
        self.powers = self.constant(1, 3, 9, 27, 81)
        self.fractions = self.buffer(5, self.packed.numel(), dtype=torch.uint8)
        self.at_least = self.buffer(2, *self.fractions.shape, dtype=torch.bool)
        self.floats = self.buffer(5, *self.packed.shape)
        self.scale = self.buffer(blocks, 1)
        fields = ((0, 32, 5), (32, 16, 5), (48, 4, 4))
        values = [
            self.floats[digit, :, at : at + size] for at, size, digits in fields for digit in range(digits)
        ]
        self.scaled = self.runs(values, [self.scale] * len(values))

    def unpack(self) -> None:
        self.scale.copy_(self.half(52))
        torch.mul(self.packed.view(1, -1), self.powers, out=self.fractions)
        torch.ge(self.fractions, 86, out=self.at_least[0])  # thirds of 256
        torch.ge(self.fractions, 171, out=self.at_least[1])
        one, two = self.at_least.view(torch.int8)
        self.floats.view(5, -1).copy_(one.add_(two).sub_(1))
        multiply(self.scaled)


class TQ2_0(Tile):
    """Four numbers in a byte."""

    name = "TQ2_0"

    def __init__(self, blocks: int, device: torch.device) -> None:
        super().__init__(blocks, device)
        self.shifts = self.constant(0, 2, 4, 6)
        self.integers = self.buffer(4, self.packed.numel(), dtype=torch.uint8)
        self.floats = self.buffer(4, *self.packed.shape)
        self.scale = self.buffer(blocks, 1)
        values = [self.floats[k, :, first : first + 32] for first in (0, 32) for k in range(4)]
        self.scaled = self.runs(values, [self.scale] * len(values))

    def unpack(self) -> None:
        self.scale.copy_(self.half(64))
        torch.bitwise_right_shift(self.packed.view(1, -1), self.shifts, out=self.integers).bitwise_and_(3)
        self.floats.view(4, -1).copy_(self.integers.view(torch.int8).sub_(1))
        multiply(self.scaled)
