"""Adapters computed beside a layer: ``y = layer(x) + (x A^T * strengths) B^T``, the weight untouched.

Works on any weight, quantised ones too, whose form may change at any time: the layer takes it as it then is.
A strength changes by writing one small tensor. The branch takes the place of the module's `forward` in that
one object: cheaper than a hook, and deleting it leaves no trace.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sfumato_adapters.stacks import Piece, Stack, stack_up


def can_branch(module: nn.Module, piece: Piece) -> bool:
    """Whether a change to the module's weight can be computed beside it."""
    if piece.change.parameter != "weight" or piece.change.low_rank() is None:
        return False
    return isinstance(module, nn.Linear) or (isinstance(module, nn.Conv2d) and module.groups == 1)


class Branch:
    """The low-rank branch of one layer.

    Args:
        module: A linear layer or a two-dimensional convolution.
        pieces: Its changes, all of them low-rank products.
        dtype: What the layer computes in.

    Attributes:
        slots: Which strength each rank follows. factors: Its share of that strength. [rank] both.
    """

    def __init__(self, module: nn.Module, pieces: Sequence[Piece], dtype: torch.dtype) -> None:
        self._module = weakref.ref(module)
        self._in_force = False
        self._stacks = stack_up(pieces, _outputs(module), dtype, _weight(module).device).stacks
        self._down = torch.cat([stack.down for stack in self._stacks])
        if isinstance(module, nn.Conv2d):
            self._down = self._down.unflatten(1, (-1, *module.kernel_size))
        slots = [float(piece.slot) for piece in pieces]
        self.slots = torch.cat([stack.strengths(slots) for stack in self._stacks]).long()
        self.factors = torch.cat([stack.strengths([p.factor for p in pieces]) for stack in self._stacks])
        self._used_slots = {piece.slot for piece in pieces}

    def fits(self) -> bool:
        """Whether the layer is still there, and its weight on the device that it was on."""
        module = self._module()
        return module is not None and _weight(module).device == self._down.device

    def follow(self, strengths: Tensor) -> None:
        """Take this tensor [rank] for the strengths from now on, as it then is at each evaluation."""
        self.detach()
        self._strengths = strengths

    def attach_if_any(self, of_slots: Sequence[float]) -> None:
        """Put the branch in force, unless all that it has is at 0: then nothing is computed."""
        if any(of_slots[slot] for slot in self._used_slots):
            self._attach()
        else:
            self.detach()

    def detach(self) -> None:
        """The layer is as it was."""
        module = self._module()
        if self._in_force and module is not None:
            del module.forward
        self._in_force = False

    def _attach(self) -> None:
        module = self._module()
        if not self._in_force and module is not None:
            make = _conv_forward if isinstance(module, nn.Conv2d) else _linear_forward
            module.forward = make(module, self._down, self._strengths, self._stacks)
            self._in_force = True


class BranchStrengths:
    """The strengths of many branches as one tensor, so that a step changes all at once.

    Args:
        branches: Those of one device; they follow this from now on.
    """

    def __init__(self, branches: Sequence[Branch]) -> None:
        self._slots = torch.cat([branch.slots for branch in branches])
        self._factors = torch.cat([branch.factors for branch in branches])
        self._values = torch.zeros_like(self._factors)
        for branch, values in zip(
            branches, self._values.split([len(branch.slots) for branch in branches]), strict=True
        ):
            branch.follow(values)

    def set(self, of_slots: Sequence[float]) -> None:
        values = torch.tensor(of_slots, device=self._values.device, dtype=torch.float32)
        torch.mul(values[self._slots], self._factors, out=self._values)


def _linear_forward(
    module: nn.Module, down: Tensor, strengths: Tensor, stacks: Sequence[Stack]
) -> Callable[[Tensor], Tensor]:
    # Nothing here may hold the module: it would hold itself.
    owner, plain = weakref.ref(module), type(module).forward
    products = _products(stacks, _outputs(module))

    def forward(x: Tensor) -> Tensor:
        y = plain(owner(), x)
        shape = y.shape
        low = F.linear(x.reshape(-1, x.shape[-1]), down).mul_(strengths)
        y = y.reshape(-1, shape[-1])
        for columns, rows, up in products:
            part = y if rows is None else y[:, rows]
            part.addmm_(low if columns is None else low[:, columns], up)
        return y.view(shape)

    return forward


def _conv_forward(
    module: nn.Module, down: Tensor, strengths: Tensor, stacks: Sequence[Stack]
) -> Callable[[Tensor], Tensor]:
    owner, plain = weakref.ref(module), type(module).forward
    products = _products(stacks, _outputs(module))
    strengths = strengths.view(-1, 1, 1)

    def forward(x: Tensor) -> Tensor:
        conv = owner()
        assert isinstance(conv, nn.Conv2d)
        y = plain(conv, x)
        low = conv._conv_forward(x, down, None).mul_(strengths)
        for columns, rows, up in products:
            product = F.conv2d(low if columns is None else low[:, columns], up.t()[:, :, None, None])
            (y if rows is None else y[:, rows]).add_(product)
        return y

    return forward


def _products(stacks: Sequence[Stack], outputs: int) -> list[tuple[slice | None, slice | None, Tensor]]:
    """Which ranks reach which outputs, by what [rank, outputs]; None stands for all."""
    if len(stacks) == 1 and stacks[0].rows == (0, outputs):
        return [(None, None, stacks[0].up.t())]
    products: list[tuple[slice | None, slice | None, Tensor]] = []
    first = 0
    for stack in stacks:
        last = first + len(stack.down)
        products.append((slice(first, last), slice(*stack.rows), stack.up.t()))
        first = last
    return products


def _weight(module: nn.Module) -> Tensor:
    assert isinstance(module, nn.Linear | nn.Conv2d)
    return module.weight


def _outputs(module: nn.Module) -> int:
    assert isinstance(module, nn.Linear | nn.Conv2d)
    return module.out_features if isinstance(module, nn.Linear) else module.out_channels
