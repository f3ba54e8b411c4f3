"""Nibbles that are numbers of a table of 16: IQ4_NL, IQ4_XS, MXFP4, NVFP4."""

from __future__ import annotations

import torch
from torch import Tensor

from sfumato_quant_gguf.blocks.tables import half_powers_of_two, half_unsigned_e4m3, nibble_pairs
from sfumato_quant_gguf.blocks.tile import Tile, multiply

_NON_LINEAR = (-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113)
_E2M1_DOUBLED = (0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12)


class PairLookup:
    """What nibbles mean, two bytes at a time.

    Args:
        tile: For its buffers.
        values: The 16 meanings.
        nibbles: A view of the tile's nibbles, int16 [blocks, words].
    """

    def __init__(self, tile: Tile, values: tuple[int, ...], nibbles: Tensor) -> None:
        blocks, words = nibbles.shape
        self._nibbles = nibbles
        self._tables = [table.to(tile.device) for table in nibble_pairs(values)]
        self._indices = tile.buffer(blocks, words, dtype=torch.int32)
        self._meanings = tile.buffer(2, blocks * words, dtype=torch.int16)
        self.floats = tile.buffer(2, blocks, words * 2)

    def groups(self, bytes_each: int) -> list[Tensor]:
        """Views of `floats`: the low nibbles of so many bytes, their high ones, the next bytes ..."""
        low, high = (half.split(bytes_each, dim=1) for half in self.floats)
        return [values for pair in zip(low, high, strict=True) for values in pair]

    def unpack(self) -> None:
        """Makes `floats` [2, blocks, bytes]: all low nibbles, then all high ones."""
        indices = self._indices.copy_(self._nibbles).bitwise_and_(0xFFFF).view(-1)
        for table, meanings in zip(self._tables, self._meanings, strict=True):
            torch.index_select(table, 0, indices, out=meanings)
        self.floats.copy_(self._meanings.view(torch.int8).view(self.floats.shape))


class IQ4_NL(Tile):
    """A scale and 32 nibbles."""

    name = "IQ4_NL"

    def __init__(self, blocks: int, device: torch.device) -> None:
        super().__init__(blocks, device)
        self.lookup = PairLookup(self, _NON_LINEAR, self.field(2, 16, torch.int16))
        self.scale = self.buffer(blocks, 1)
        self.scaled = self.runs(self.lookup.floats, (self.scale, self.scale))

    def unpack(self) -> None:
        self.scale.copy_(self.half(0))
        self.lookup.unpack()
        multiply(self.scaled)


class IQ4_XS(Tile):
    """Eight groups of 32 nibbles, with scales of six bits around 32: the high two apart."""

    name = "IQ4_XS"

    def __init__(self, blocks: int, device: torch.device) -> None:
        super().__init__(blocks, device)
        self.lookup = PairLookup(self, _NON_LINEAR, self.field(8, 128, torch.int16))
        self.scale = self.buffer(blocks, 1)
        self.scales = self.buffer(blocks, 8)
        scales = (scale for scale in self.scales.split(1, dim=1) for _ in range(2))
        self.scaled = self.runs(self.lookup.groups(16), scales)
        self.low_shifts = torch.tensor([0, 4], dtype=torch.uint8, device=device)
        self.high_shifts = torch.tensor([0, 2, 4, 6], dtype=torch.uint8, device=device)

    def unpack_scales(self) -> None:
        low = self.field(4, 4).unsqueeze(2) >> self.low_shifts & 15
        high = self.field(2, 2).unsqueeze(2) >> self.high_shifts & 3
        integers = (low.view(-1, 8) | high.view(-1, 8) << 4).view(torch.int8) - 32
        self.scale.copy_(self.half(0))
        self.scales.copy_(integers).mul_(self.scale)

    def unpack(self) -> None:
        self.unpack_scales()
        self.lookup.unpack()
        multiply(self.scaled)


class MXFP4(Tile):
    """32 numbers E2M1 with one scale E8M0 (OCP Microscaling Formats 1.0)."""

    name = "MXFP4"

    def __init__(self, blocks: int, device: torch.device) -> None:
        super().__init__(blocks, device)
        self.aligned = self.buffer(blocks, 16, dtype=torch.uint8)
        self.lookup = PairLookup(self, _E2M1_DOUBLED, self.aligned.view(torch.int16))
        self.powers = half_powers_of_two().to(device)
        self.scale = self.buffer(blocks)
        self.scaled = self.runs(self.lookup.floats, [self.scale.unsqueeze(1)] * 2)

    def unpack(self) -> None:
        self.aligned.copy_(self.field(1, 16))
        self.lookup.unpack()
        torch.index_select(self.powers, 0, self.packed[:, 0].int(), out=self.scale)
        multiply(self.scaled)


class NVFP4(Tile):
    """Four groups of 16 numbers E2M1 with scales E4M3 that have no sign."""

    name = "NVFP4"

    def __init__(self, blocks: int, device: torch.device) -> None:
        super().__init__(blocks, device)
        self.lookup = PairLookup(self, _E2M1_DOUBLED, self.field(4, 32, torch.int16))
        self.scale_table = half_unsigned_e4m3().to(device)
        self.scales = self.buffer(blocks * 4)
        scales = (scale for scale in self.scales.view(blocks, 4).split(1, dim=1) for _ in range(2))
        self.scaled = self.runs(self.lookup.groups(8), scales)

    def unpack(self) -> None:
        self.lookup.unpack()
        torch.index_select(self.scale_table, 0, self.field(0, 4).int().view(-1), out=self.scales)
        multiply(self.scaled)
