"""Weights with adapters merged in: a copy beside the model's own tensor, which is never written to.

As a rule that tensor is a mapped file, so no backup is held in memory; to undo a merge is to put it back, to
the bit. All adapters of a layer are one product of their ranks side by side, added to the clean weight while
it is copied; the sums are float32, rounded once.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import torch
from torch import Tensor, nn

from sfumato_adapters.stacks import Changes, Piece, stack_up
from sfumato_networks.stored.tensor import WeightTensor


class MergedParameter:
    """One parameter of a module: its own, or a copy with adapters merged in.

    Args:
        module: The layer.
        name: Of its parameter.
    """

    def __init__(self, module: nn.Module, name: str) -> None:
        self._module, self._name = module, name
        self._original: nn.Parameter = getattr(module, name)
        self._merged: nn.Parameter | None = None
        self._holds: Hashable = None
        self._stacked: tuple[Hashable, Changes] | None = None

    @property
    def original(self) -> Tensor:
        """The model's own parameter, whatever is in force."""
        self._follow_the_module()
        return self._original

    @property
    def is_in_force(self) -> bool:
        return self._merged is not None and getattr(self._module, self._name) is self._merged

    @property
    def kept_bytes(self) -> int:
        """Of the copy."""
        return self._merged.nbytes if self._merged is not None else 0

    def merge(self, pieces: Sequence[Piece], of_slots: Sequence[float]) -> None:
        """Put a copy in force to which exactly these are added, unless the copy at hand is that already.

        Args:
            of_slots: The strengths that pieces follow.
        """
        self._follow_the_module()
        pieces = [piece for piece in pieces if piece.strength(of_slots)]
        if not pieces:
            return self.undo()
        strengths = [piece.strength(of_slots) for piece in pieces]
        wanted = tuple((piece.identity, strength) for piece, strength in zip(pieces, strengths, strict=True))
        if self._holds != wanted:
            # A copy made in inference mode could not be written to outside of it.
            with torch.inference_mode(False), torch.no_grad():
                self._compute(pieces, strengths)
            self._holds = wanted
        if not self.is_in_force:
            setattr(self._module, self._name, self._merged)

    def undo(self) -> None:
        """Put the model's own parameter back; the copy is kept."""
        if self.is_in_force:
            setattr(self._module, self._name, self._original)

    def drop(self) -> None:
        """Put the model's own parameter back and let go of the copy."""
        self.undo()
        self._merged = self._holds = self._stacked = None

    def _follow_the_module(self) -> None:
        """The parameter may have been moved, or be stored in another form by now: then that is its own."""
        current = getattr(self._module, self._name)
        if current is not self._original and current is not self._merged:
            self._original = current
            self._merged = self._holds = self._stacked = None

    def _compute(self, pieces: Sequence[Piece], strengths: Sequence[float]) -> None:
        self._holds = None  # should this fail midway, the copy is of no use
        original = _plain(self._original)
        if self._merged is None:
            self._merged = nn.Parameter(torch.empty_like(original), requires_grad=False)
        changes = self._changes(pieces, original)
        clean, merged = _rows(original), _rows(self._merged.data)
        if changes.is_one_pass and _multiplies_quickly(original):
            _add_products(clean, changes, strengths, out=merged)
        else:
            merged.copy_(_summed(original, changes, strengths).view(clean.shape))

    def _changes(self, pieces: Sequence[Piece], original: Tensor) -> Changes:
        identity = tuple(piece.identity for piece in pieces)
        if self._stacked is None or self._stacked[0] != identity:
            self._stacked = None  # before the next one is made
            dtype = original.dtype if _multiplies_quickly(original) else torch.float32
            changes = stack_up(pieces, original.shape[0], dtype, original.device)
            self._stacked = (identity, changes)
        return self._stacked[1]


def _plain(parameter: Tensor) -> Tensor:
    return parameter.plain() if isinstance(parameter, WeightTensor) else parameter.data


def _rows(weight: Tensor) -> Tensor:
    """[outputs, inputs], of a convolution channels x height x width; a vector becomes a column."""
    return weight.view(weight.shape[0], -1)


def _multiplies_quickly(weight: Tensor) -> bool:
    """Whether products are computed in the weight's own type: sums must be float32, and CPUs know no half."""
    if weight.device.type == "cpu":
        return weight.dtype in (torch.float32, torch.bfloat16)
    return weight.dtype in (torch.float32, torch.bfloat16, torch.float16)


def _add_products(clean: Tensor, changes: Changes, strengths: Sequence[float], *, out: Tensor) -> None:
    """``out = clean + up @ down``, each row in one pass."""
    done = 0
    for stack in changes.stacks:
        start, end = stack.rows
        out[done:start] = clean[done:start]
        up = (stack.up.float() * stack.strengths(strengths)).to(stack.up.dtype)
        torch.addmm(clean[start:end], up, stack.down, out=out[start:end])
        done = end
    out[done:] = clean[done:]


def _summed(original: Tensor, changes: Changes, strengths: Sequence[float]) -> Tensor:
    """The sum of the parameter and all changes, in float32."""
    total = original.to(torch.float32, copy=True)
    for stack in changes.stacks:
        start, end = stack.rows
        _rows(total)[start:end].addmm_(stack.up.float() * stack.strengths(strengths), stack.down.float())
    for number, piece in changes.others.items():
        start, end = piece.rows(len(original))
        delta = piece.delta(original[start:end])
        total[start:end].add_(delta.view_as(total[start:end]), alpha=strengths[number])
    return total
