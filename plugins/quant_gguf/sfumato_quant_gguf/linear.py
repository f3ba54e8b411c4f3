"""A linear layer whose weight is in GGUF's blocks.

For a few tokens the blocks are taken apart as they are multiplied; for more, on a CPU, the weight is made
plain a tile of rows at a time, small enough for the processor's caches, and multiplied as a dense one: no
call fills memory of the size of the weight.

Sums are in float32. What a kernel gives does not depend on the number of threads; a matrix product may, by
rounding, and so may what one token gives from what the same one gives among many.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from sfumato_quant_gguf.blocks.layout import block_type
from sfumato_quant_gguf.blocks.tiles import Tiles
from sfumato_quant_gguf.dequantise import Kernels, dequantise_by, kernels_for

if TYPE_CHECKING:
    from sfumato_quant_gguf.weight import GgufWeight

_TILE_BYTES = 3 << 20
_TILE_ROWS = 256  # at least: the matrix product of fewer is slower


def linear(weight: GgufWeight, x: Tensor, bias: Tensor | None) -> Tensor:
    """``x W^T + bias``.

    Args:
        weight: [outputs, inputs].
        x: [..., inputs] of a floating-point type.
        bias: [outputs].

    Returns:
        [..., outputs] of the type of x. On a CPU nothing is computed in float16, which is slow there.

    Raises:
        ValueError: x has another number of inputs than the weight.
    """
    return linear_by(kernels_for(x.device), weight, x, bias)


def linear_by(kernels: Kernels | None, weight: GgufWeight, x: Tensor, bias: Tensor | None) -> Tensor:
    """The same by these kernels where they can, by torch alone where not."""
    has_gradient = x.requires_grad or (bias is not None and bias.requires_grad)
    outputs, inputs = weight.shape
    if x.shape[-1] != inputs:
        raise ValueError(f"{list(x.shape)} cannot be multiplied with a weight of {list(weight.shape)}")
    if (has_gradient and torch.is_grad_enabled()) or inputs % block_type(weight.type_name).block_size:
        return F.linear(x, weight.dequantised(x.dtype), bias)
    tokens = x.reshape(-1, inputs)
    out = torch.empty(tokens.shape[0], outputs, dtype=x.dtype, device=x.device)
    if kernels is None or not kernels.linear(
        weight.type_name, weight.packed, weight.shape, tokens, bias, out
    ):
        if x.device.type != "cpu":
            return F.linear(x, weight.dequantised(x.dtype), bias)
        _in_tiles(kernels, weight, tokens, bias, out)
    return out.reshape(*x.shape[:-1], outputs)


def _in_tiles(
    kernels: Kernels | None, weight: GgufWeight, x: Tensor, bias: Tensor | None, out: Tensor
) -> None:
    """Write the product into `out` [tokens, outputs], the weight made plain a few rows at a time."""
    outputs, inputs = weight.shape
    dtype = torch.float32 if x.dtype == torch.float16 else x.dtype
    rows = min(outputs, max(_TILE_ROWS, _TILE_BYTES // (inputs * dtype.itemsize)))
    packed = weight.packed.reshape(outputs, -1)
    tiles = weight.tiles or Tiles()
    tile, numbers = tiles.plain(rows, inputs, dtype), x.to(dtype)
    for first in range(0, outputs, rows):
        last = min(first + rows, outputs)
        plain = tile[: last - first]
        dequantise_by(kernels, packed[first:last].view(-1), weight.type_name, dtype, plain.view(-1), tiles)
        _product(numbers, plain, None if bias is None else bias[first:last].to(dtype), out[:, first:last])


def _product(x: Tensor, weight: Tensor, bias: Tensor | None, out: Tensor) -> None:
    if out.dtype != x.dtype:
        out.copy_(F.linear(x, weight, bias))
    elif bias is None:
        torch.mm(x, weight.t(), out=out)
    else:
        torch.addmm(bias, x, weight.t(), out=out)
