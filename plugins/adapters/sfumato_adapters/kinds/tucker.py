"""Tucker decomposition of a convolution's kernel, as LyCORIS uses it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def compose(core: Tensor, outputs: Tensor, inputs: Tensor) -> Tensor:
    """The kernel [outputs, inputs, ...] of a core and two matrices, float32.

    Args:
        core: [r, s, height, width].
        outputs: [r, outputs].
        inputs: [s, inputs].
    """
    import torch

    return torch.einsum("rs...,ro,si->oi...", core.float(), outputs.float(), inputs.float())
