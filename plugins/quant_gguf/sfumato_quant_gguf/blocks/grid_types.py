"""Groups of four or eight numbers that are entries of a grid: IQ1, IQ2 and IQ3.

An entry of eight numbers is one int64 of a table (four: one int32), and so are eight signs: a look-up gives
all of them at once.
"""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from sfumato_quant_gguf.blocks.tables import even_sign_patterns, grid, sign_patterns
from sfumato_quant_gguf.blocks.tile import Tile


class GridTile(Tile):
    """Numbers of a grid times scales of 16 or 32 numbers."""

    groups: int  # that have scales of their own

    def __init__(self, blocks: int, device: torch.device) -> None:
        super().__init__(blocks, device)
        self.table = self.made_table().to(device)
        count = blocks * 256 // self.table.element_size()
        self.entries = self.buffer(count, dtype=self.table.dtype)
        self.floats = self.buffer(blocks, 256)
        self.scale = self.buffer(blocks, 1)

    def made_table(self) -> Tensor:
        """The grid, an entry in an integer."""
        entries = grid(self.name)
        return entries.view(torch.int64 if entries.shape[1] == 8 else torch.int32).squeeze(1)

    @abstractmethod
    def indices(self) -> Tensor:
        """Of the table, int32, in the order of the numbers."""

    @abstractmethod
    def scales(self) -> Tensor:
        """float32 [blocks, groups]."""

    def integers(self) -> Tensor:
        """int8 [blocks, 256]."""
        torch.index_select(self.table, 0, self.indices().reshape(-1), out=self.entries)
        return self.entries.view(torch.int8).view(self.blocks, 256)

    def unpack(self) -> None:
        self.floats.copy_(self.integers())
        scales = self.scales().view(self.blocks, self.groups, 1)
        shape = (self.blocks, self.groups, 256 // self.groups)
        torch.mul(self.floats.view(shape), scales, out=self.numbers.view(shape))

    def shifted(self, source: Tensor, *shifts: int) -> Tensor:
        """Each number shifted right by each of these, [..., shifts]; numbers of eight bits or int32."""
        return source.unsqueeze(-1) >> torch.tensor(shifts, dtype=source.dtype, device=self.device)

    def words(self, first: int, length: int) -> Tensor:
        """A field of unsigned numbers of 16 bits, int32 [blocks, numbers]."""
        return self.field(first, length, torch.int16).to(torch.int32) & 0xFFFF

    def nibble_scales(self, first: int, length: int) -> Tensor:
        """A field of nibbles, the low one of a byte first, float32 [blocks, nibbles]."""
        return (self.shifted(self.field(first, length), 0, 4) & 15).view(self.blocks, -1).float()


class SignedGridTile(GridTile):
    """The grid has magnitudes alone; signs are bits beside them."""

    def __init__(self, blocks: int, device: torch.device) -> None:
        super().__init__(blocks, device)
        self.sign_table = self.made_sign_table().to(device)
        self.signs = self.buffer(blocks * 32, dtype=torch.int64)

    def made_sign_table(self) -> Tensor:
        return sign_patterns()

    @abstractmethod
    def sign_indices(self) -> Tensor:
        """Of the table of signs, int32 [blocks, 32] or of that many numbers."""

    def integers(self) -> Tensor:
        torch.index_select(self.sign_table, 0, self.sign_indices().reshape(-1), out=self.signs)
        return super().integers().mul_(self.signs.view(torch.int8).view(self.blocks, 256))


class IQ2_XXS(SignedGridTile):
    """Eight groups of 32: four indices of eight bits; then four signs of seven bits and a scale of four."""

    name = "IQ2_XXS"
    groups = 8

    def made_sign_table(self) -> Tensor:
        return even_sign_patterns()

    def indices(self) -> Tensor:
        return self.field(2, 64).view(-1, 8, 8)[:, :, :4].to(torch.int32)

    def signs_and_scales(self) -> Tensor:
        words = self.words(2, 64).view(-1, 8, 4)
        return words[:, :, 2] | words[:, :, 3] << 16

    def sign_indices(self) -> Tensor:
        return self.shifted(self.signs_and_scales(), 0, 7, 14, 21) & 127

    def scales(self) -> Tensor:
        return (0.5 + (self.signs_and_scales() >> 28 & 15)) * self.scale.copy_(self.half(0)) * 0.25


class IQ2_XS(SignedGridTile):
    """32 words of an index of nine bits and signs of seven; then 16 scales of four bits."""

    name = "IQ2_XS"
    groups = 16

    def made_sign_table(self) -> Tensor:
        return even_sign_patterns()

    def indices(self) -> Tensor:
        return self.words(2, 64) & 511

    def sign_indices(self) -> Tensor:
        return self.words(2, 64) >> 9

    def scales(self) -> Tensor:
        return (0.5 + self.nibble_scales(66, 8)) * self.scale.copy_(self.half(0)) * 0.25


class IQ2_S(SignedGridTile):
    """32 indices of ten bits, the high two apart; 32 bytes of signs; 16 scales of four bits."""

    name = "IQ2_S"
    groups = 16

    def indices(self) -> Tensor:
        high = (self.shifted(self.field(66, 8), 0, 2, 4, 6) & 3).view(-1, 32)
        return self.field(2, 32).to(torch.int32) | high.to(torch.int32) << 8

    def sign_indices(self) -> Tensor:
        return self.field(34, 32).to(torch.int32)

    def scales(self) -> Tensor:
        return (0.5 + self.nibble_scales(74, 8)) * self.scale.copy_(self.half(0)) * 0.25


class IQ3_XXS(SignedGridTile):
    """64 indices of eight bits; then, for each 32 numbers, four signs of seven bits and a scale of four."""

    name = "IQ3_XXS"
    groups = 8

    def made_sign_table(self) -> Tensor:
        return even_sign_patterns()

    def indices(self) -> Tensor:
        return self.field(2, 64).to(torch.int32)

    def signs_and_scales(self) -> Tensor:
        words = self.words(66, 32).view(-1, 8, 2)
        return words[:, :, 0] | words[:, :, 1] << 16

    def sign_indices(self) -> Tensor:
        return self.shifted(self.signs_and_scales(), 0, 7, 14, 21) & 127

    def scales(self) -> Tensor:
        return (0.5 + (self.signs_and_scales() >> 28 & 15)) * self.scale.copy_(self.half(0)) * 0.5


class IQ3_S(SignedGridTile):
    """64 indices of nine bits, the highest apart; 32 bytes of signs; eight scales of four bits."""

    name = "IQ3_S"
    groups = 8

    def indices(self) -> Tensor:
        high = (self.shifted(self.field(66, 8), *range(8)) & 1).view(-1, 64)
        return self.field(2, 64).to(torch.int32) | high.to(torch.int32) << 8

    def sign_indices(self) -> Tensor:
        return self.field(74, 32).to(torch.int32)

    def scales(self) -> Tensor:
        return (1 + 2 * self.nibble_scales(106, 4)) * self.scale.copy_(self.half(0))


class ShiftedGridTile(GridTile):
    """The grid has -1, 0 and 1, and a bit says whether an eighth is added or taken away.

    The table has eight times their sums, so that they are integers: those to add to first, then the others.
    """

    def made_table(self) -> Tensor:
        eighths = grid("IQ1_S") * 8
        return torch.cat([eighths + 1, eighths - 1]).view(torch.int64).squeeze(1)


class IQ1_S(ShiftedGridTile):
    """32 indices of 11 bits, eight of them below; a word for each 32 numbers has the rest."""

    name = "IQ1_S"
    groups = 8

    def indices(self) -> Tensor:
        words = self.words(34, 16)
        high = self.shifted(words, 0, 3, 6, 9) & 7
        low = self.field(2, 32).to(torch.int32).view(-1, 8, 4)
        return low | high << 8 | (words >> 15 << 11).unsqueeze(2)

    def scales(self) -> Tensor:
        return (2 * (self.words(34, 16) >> 12 & 7) + 1) * 0.125 * self.scale.copy_(self.half(0))


class IQ1_M(ShiftedGridTile):
    """As IQ1_S, with a shift for each eight numbers, 16 scales, and the block's scale in four pieces."""

    name = "IQ1_M"
    groups = 16

    def indices(self) -> Tensor:
        high = (self.shifted(self.field(32, 16), 0, 4) & 15).to(torch.int32).view(-1, 32)
        return self.field(0, 32).to(torch.int32) | high << 8

    def scales(self) -> Tensor:
        words = self.words(48, 8)
        pieces = (words >> 12) << torch.tensor([0, 4, 8, 12], dtype=torch.int32, device=self.device)
        scale = pieces.sum(1, keepdim=True).to(torch.int16).view(torch.float16)
        integers = (self.shifted(words, 0, 3, 6, 9) & 7).view(-1, 16)
        return (2 * integers + 1) * 0.125 * self.scale.copy_(scale)
