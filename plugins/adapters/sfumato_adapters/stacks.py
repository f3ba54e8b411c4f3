"""The changes of all adapters to one parameter, put together: low ranks side by side, each in its rows."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from sfumato_adapters.changes import LayerChange

Rows = tuple[int, int]


@dataclass(frozen=True)
class Piece:
    """One adapter's change to one parameter.

    Attributes:
        slot: Which of the strengths in force it follows.
        factor: Its block's share of that strength.
        rank: How many ranks are taken; None for all.
        identity: Equal only for the same change of the same file.
    """

    change: LayerChange = field(compare=False)
    slot: int
    factor: float
    rank: int | None
    identity: Hashable

    def strength(self, of_slots: Sequence[float]) -> float:
        return self.factor * of_slots[self.slot]

    def rows(self, outputs: int) -> Rows:
        return self.change.target.rows or (0, outputs)

    def low_rank(self) -> tuple[Tensor, Tensor] | None:
        """down [rank, inputs] and up [outputs, rank]."""
        product = self.change.low_rank()
        if product is None:
            return None
        down, up = product
        return down[: self.rank], up[:, : self.rank]

    def delta(self, original: Tensor) -> Tensor:
        """What is added to the rows of this piece at strength 1, float32; `original` has these rows alone."""
        return self.change.delta(original)


@dataclass(frozen=True)
class Stack:
    """The low-rank changes to the same rows as one product ``(up * strengths) @ down``.

    Attributes:
        down: [rank, inputs], all ranks of all pieces one after another. up: [outputs, rank].
        ranks: How many of them are of each piece.
        pieces: Which piece, of those given, each of these is.
    """

    rows: Rows
    down: Tensor
    up: Tensor
    ranks: tuple[int, ...]
    pieces: tuple[int, ...]

    def strengths(self, of_pieces: Sequence[float]) -> Tensor:
        """One for each rank, float32."""
        values = torch.tensor([of_pieces[piece] for piece in self.pieces], device=self.down.device)
        repeats = torch.tensor(self.ranks, device=self.down.device)
        return values.repeat_interleave(repeats, output_size=self.down.shape[0])


@dataclass(frozen=True)
class Changes:
    """All changes to a parameter: products by the rows they lie in, and pieces that are no products."""

    stacks: tuple[Stack, ...]
    others: Mapping[int, Piece]

    @property
    def is_one_pass(self) -> bool:
        """Whether every row is changed by one product at most."""
        ends = sorted(stack.rows for stack in self.stacks)
        apart = all(left[1] <= right[0] for left, right in pairwise(ends))
        return apart and not self.others


def stack_up(pieces: Sequence[Piece], outputs: int, dtype: torch.dtype, device: torch.device) -> Changes:
    """Put the pieces together.

    Args:
        outputs: Rows of the parameter.
        dtype: The type that products are computed in.
    """
    products: dict[Rows, list[tuple[int, Tensor, Tensor]]] = {}
    others: dict[int, Piece] = {}
    for number, piece in enumerate(pieces):
        product = piece.low_rank()
        if product is None:
            others[number] = piece
        else:
            down, up = product
            products.setdefault(piece.rows(outputs), []).append((number, down, up))
    stacks = []
    for rows, found in sorted(products.items()):
        down = torch.cat([down.to(device, dtype) for _, down, _ in found])
        up = torch.cat([up.to(device, dtype) for _, _, up in found], dim=1)
        ranks = tuple(len(down) for _, down, _ in found)
        stacks.append(Stack(rows, down, up, ranks, tuple(number for number, _, _ in found)))
    return Changes(tuple(stacks), others)
