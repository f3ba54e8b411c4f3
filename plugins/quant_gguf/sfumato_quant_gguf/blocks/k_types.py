"""Super-blocks of 256 numbers whose scales are themselves quantised: Q2_K to Q6_K.

Bits are taken apart group by group over all blocks of the tile, so that each operator runs over long
contiguous bytes; the multiplication by the scales puts the groups back into their order.
"""

from __future__ import annotations

import torch

from sfumato_quant_gguf.blocks.tile import BitFields, Tile, gather, multiply

_SIX_BITS, _FOUR_BITS, _HIGH_TWO_BITS = 0x3F3F3F3F, 0x0F0F0F0F, 0x30303030


class SixBitScales:
    """The scales and minima of Q4_K and Q5_K: eight of six bits each in twelve bytes.

    Args:
        tile: Whose blocks begin with two float16, factors of the scales and the minima; twelve bytes follow.
    """

    def __init__(self, tile: Tile) -> None:
        blocks = tile.blocks
        self._packed = tile.field(4, 12, torch.int32).T
        self._words = tile.buffer(3, blocks, dtype=torch.int32)
        self._high = tile.buffer(2, blocks, dtype=torch.int32)
        self._low = tile.buffer(2, blocks, dtype=torch.int32)
        self._integers = tile.buffer(2, blocks, 2, dtype=torch.int32)
        self._bytes = self._integers.view(torch.uint8)
        self._factors = tile.buffer(2, blocks, 1)
        self._factor_fields = list(zip(self._factors, (tile.half(0), tile.half(2)), strict=True))
        self._products = tile.buffer(2, blocks, 8)
        self.scales = self._products[0].split(1, dim=1)
        self.minima = self._products[1].unsqueeze(2)

    def unpack(self) -> None:
        """Makes `scales`, eight float32 [blocks, 1], and `minima`, [blocks, 8, 1]."""
        words, high, low = self._words, self._high, self._low
        words.copy_(self._packed)
        torch.bitwise_and(words[:2], _SIX_BITS, out=self._integers[:, :, 0])
        torch.bitwise_right_shift(words[:2], 2, out=high).bitwise_and_(_HIGH_TWO_BITS)
        low[0].copy_(words[2])
        torch.bitwise_right_shift(words[2], 4, out=low[1])
        torch.bitwise_or(low.bitwise_and_(_FOUR_BITS), high, out=self._integers[:, :, 1])
        for factor, field in self._factor_fields:
            factor.copy_(field)
        self._products.copy_(self._bytes).mul_(self._factors)


class Q4_K(Tile):
    """Eight groups of 32 nibbles; two neighbouring groups share their bytes."""

    name = "Q4_K"

    def __init__(self, blocks: int, device: torch.device) -> None:
        super().__init__(blocks, device)
        self.scaling = SixBitScales(self)
        self.nibbles = self.buffer(2, *self.packed.shape, dtype=torch.uint8)
        self.floats = self.buffer(2, *self.packed.shape)
        pairs = zip(*(half[:, 16:].split(32, dim=1) for half in self.floats), strict=True)
        self.scaled = self.runs((values for pair in pairs for values in pair), self.scaling.scales)
        self.groups = self.numbers.view(blocks, 8, 32)

    def unpack(self) -> None:
        self.scaling.unpack()
        torch.bitwise_and(self.packed, 15, out=self.nibbles[0])
        torch.bitwise_right_shift(self.packed, 4, out=self.nibbles[1])
        self.floats.copy_(self.nibbles)
        multiply(self.scaled)
        self.groups.sub_(self.scaling.minima)


class Q5_K(Tile):
    """As Q4_K; the fifth bits of the eight groups are the bits of 32 bytes."""

    name = "Q5_K"

    def __init__(self, blocks: int, device: torch.device) -> None:
        super().__init__(blocks, device)
        self.scaling = SixBitScales(self)
        self.low = self.buffer(4, blocks, 32, dtype=torch.uint8)
        self.high = self.buffer(blocks, 32, dtype=torch.uint8)
        self.integers = self.buffer(4, 2, blocks * 32, dtype=torch.uint8)
        self.fifth = self.buffer(8, blocks * 32, dtype=torch.uint8)
        self.fifth_bits = BitFields(self, count=8, width=1, target=4)
        places = [*self.low.view(torch.int16), self.high.view(torch.int16)]
        starts = (48, 80, 112, 144, 16)
        self.gathered = [
            (place, self.field(at, 32, torch.int16)) for place, at in zip(places, starts, strict=True)
        ]
        self.floats = self.buffer(8, blocks, 32)
        self.scaled = self.runs(self.floats, self.scaling.scales)
        self.groups = self.numbers.view(blocks, 8, 32)

    def unpack(self) -> None:
        self.scaling.unpack()
        gather(self.gathered)
        low = self.low.view(4, -1)
        torch.bitwise_and(low, 15, out=self.integers[:, 0])
        torch.bitwise_right_shift(low, 4, out=self.integers[:, 1])
        self.fifth_bits.move(self.high.view(1, -1), self.fifth)
        integers = self.integers.view(8, -1).bitwise_or_(self.fifth)
        self.floats.view(8, -1).copy_(integers)
        multiply(self.scaled)
        self.groups.sub_(self.scaling.minima)


class Q2_K(Tile):
    """16 groups of 16 two-bit numbers, with scales and minima of four bits."""

    name = "Q2_K"

    def __init__(self, blocks: int, device: torch.device) -> None:
        super().__init__(blocks, device)
        self.shifts = self.constant(0, 2, 4, 6)
        self.integers = self.buffer(4, self.packed.numel(), dtype=torch.uint8)
        self.floats = self.buffer(4, *self.packed.shape)
        self.factors = self.buffer(2, blocks, 1)
        self.scale_bytes = self.buffer(blocks, 16, dtype=torch.uint8)
        self.scale_nibbles = self.buffer(2, blocks, 16, dtype=torch.uint8)
        self.scales = self.buffer(2, blocks, 16)
        places = [(first, shift) for first in (16, 48) for shift in range(4)]
        values = (self.floats[k, :, at : at + 16] for first, k in places for at in (first, first + 16))
        self.scaled = self.runs(values, self.scales[0].split(1, dim=1))

    def unpack(self) -> None:
        self.scale_bytes.copy_(self.field(0, 16))
        torch.bitwise_and(self.scale_bytes, 15, out=self.scale_nibbles[0])
        torch.bitwise_right_shift(self.scale_bytes, 4, out=self.scale_nibbles[1])
        self.scales.copy_(self.scale_nibbles)
        for factor, at in zip(self.factors, (80, 82), strict=True):
            factor.copy_(self.half(at))
        self.scales.mul_(self.factors)
        torch.bitwise_right_shift(self.packed.view(1, -1), self.shifts, out=self.integers)
        self.floats.view(4, -1).copy_(self.integers.bitwise_and_(3))
        multiply(self.scaled)
        self.numbers.view(-1, 16, 16).sub_(self.scales[1].unsqueeze(2))


class Q3_K(Tile):
    """16 groups of 16 three-bit numbers around 4; the third bits are the bits of 32 bytes."""

    name = "Q3_K"

    def __init__(self, blocks: int, device: torch.device) -> None:
        super().__init__(blocks, device)
        self.low = self.buffer(2, blocks, 32, dtype=torch.uint8)
        self.high = self.buffer(blocks, 32, dtype=torch.uint8)
        self.integers = self.buffer(2, 4, blocks * 32, dtype=torch.uint8)
        self.third = self.buffer(8, blocks * 32, dtype=torch.uint8)
        self.shifts = self.constant(0, 2, 4, 6)
        self.third_bits = BitFields(self, count=8, width=1, target=2)
        places = [*self.low.view(torch.int16), self.high.view(torch.int16)]
        self.gathered = [
            (place, self.field(at, 32, torch.int16)) for place, at in zip(places, (32, 64, 0), strict=True)
        ]
        self.floats = self.buffer(8, blocks * 32)
        self.scale_bytes = self.buffer(blocks, 12, dtype=torch.uint8)
        self.scale_words = self.buffer(blocks, 4, dtype=torch.int32)
        self.scale = self.buffer(blocks, 1)
        self.scales = self.buffer(blocks, 16)
        values = (half for group in self.floats.view(8, blocks, 32) for half in group.split(16, dim=1))
        self.scaled = self.runs(values, self.scales.split(1, dim=1))

    def unpack_scales(self) -> None:
        """16 scales of six bits around 32: eight bytes have the low four bits, four have the high two."""
        self.scale_bytes.view(torch.int16).copy_(self.field(96, 12, torch.int16))
        packed, words = self.scale_bytes.view(torch.int32), self.scale_words
        torch.bitwise_and(packed[:, :2], _FOUR_BITS, out=words[:, :2])
        torch.bitwise_right_shift(packed[:, :2], 4, out=words[:, 2:]).bitwise_and_(_FOUR_BITS)
        high = torch.stack([packed[:, 2] << 4, packed[:, 2] << 2, packed[:, 2], packed[:, 2] >> 2], dim=1)
        words.bitwise_or_(high.bitwise_and_(_HIGH_TWO_BITS))
        self.scales.copy_(words.view(torch.int8).sub_(32))
        self.scale.copy_(self.half(108))
        self.scales.mul_(self.scale)

    def unpack(self) -> None:
        self.unpack_scales()
        gather(self.gathered)
        torch.bitwise_right_shift(self.low.view(2, 1, -1), self.shifts, out=self.integers).bitwise_and_(3)
        self.third_bits.move(self.high.view(1, -1), self.third)
        integers = self.integers.view(8, -1).bitwise_or_(self.third).view(torch.int8).sub_(4)
        self.floats.copy_(integers)
        multiply(self.scaled)


class Q6_K(Tile):
    """16 groups of 16 six-bit numbers around 32, with scales of eight bits."""

    name = "Q6_K"

    def __init__(self, blocks: int, device: torch.device) -> None:
        super().__init__(blocks, device)
        self.low = self.buffer(2, 2, blocks, 32, dtype=torch.uint8)
        self.high = self.buffer(2, blocks, 32, dtype=torch.uint8)
        self.integers = self.buffer(2, 2, blocks * 64, dtype=torch.uint8)
        self.top = self.buffer(4, blocks * 64, dtype=torch.uint8)
        self.top_bits = BitFields(self, count=4, width=2, target=4)
        places = [*self.low.view(4, blocks, 32).view(torch.int16), *self.high.view(torch.int16)]
        starts = (0, 64, 32, 96, 128, 160)
        self.gathered = [
            (place, self.field(at, 32, torch.int16)) for place, at in zip(places, starts, strict=True)
        ]
        self.floats = self.buffer(4, blocks * 64)
        self.scale = self.buffer(blocks, 1)
        self.scales = self.buffer(blocks, 16)
        halves = self.floats.view(4, 2, blocks, 32).unbind(1)
        values = (values for half in halves for group in half for values in group.split(16, dim=1))
        self.scaled = self.runs(values, self.scales.split(1, dim=1))

    def unpack(self) -> None:
        self.scales.copy_(self.field(192, 16, torch.int8))
        self.scale.copy_(self.half(208))
        self.scales.mul_(self.scale)
        gather(self.gathered)
        low = self.low.view(2, -1)
        torch.bitwise_and(low, 15, out=self.integers[0])
        torch.bitwise_right_shift(low, 4, out=self.integers[1])
        self.top_bits.move(self.high.view(1, -1), self.top)
        integers = self.integers.view(4, -1).bitwise_or_(self.top).view(torch.int8).sub_(32)
        self.floats.copy_(integers)
        multiply(self.scaled)
