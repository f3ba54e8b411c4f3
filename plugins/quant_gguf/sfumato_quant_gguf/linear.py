"""A linear layer whose weight is in GGUF's blocks.

For a few tokens the blocks are taken apart as they are multiplied; for more, the weight is made plain a tile of
rows at a time, small enough for the processor's caches, and multiplied as a dense one. So no call fills memory
of the size of the weight. Sums are in float32, in the order of the matrix product that torch picks for its
number of threads: results may differ by rounding between numbers of threads, and between one token and many.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from sfumato_quant_gguf.blocks.dequantise import dequantise
from sfumato_quant_gguf.native import NativeKernels, native_kernels

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
    """
    needs_gradient = x.requires_grad or (bias is not None and bias.requires_grad)
    if x.device.type != "cpu" or (needs_gradient and torch.is_grad_enabled()):
        return F.linear(x, weight.dequantised(x.dtype), bias)
    return linear_on_cpu(weight, x, bias, native_kernels())


def linear_on_cpu(
    weight: GgufWeight, x: Tensor, bias: Tensor | None, kernels: NativeKernels | None
) -> Tensor:
    """The same with these kernels, or by torch alone; never for gradients."""
    outputs, inputs = weight.shape
    tokens = x.reshape(-1, inputs)
    out = torch.empty(tokens.shape[0], outputs, dtype=x.dtype)
    fused = kernels is not None and kernels.linear(
        weight.type_name, weight.packed, weight.shape, tokens, bias, out
    )
    if not fused:
        _in_tiles(weight, tokens, bias, out)
    return out.reshape(*x.shape[:-1], outputs)


def _in_tiles(weight: GgufWeight, x: Tensor, bias: Tensor | None, out: Tensor) -> None:
    """Write the product into `out` [tokens, outputs], the weight made plain a few rows at a time."""
    outputs, inputs = weight.shape
    dtype = torch.float32 if x.dtype == torch.float16 else x.dtype
    row_bytes = weight.packed.numel() // max(outputs, 1)
    if row_bytes * outputs != weight.packed.numel() or _splits_blocks(weight):
        out.copy_(F.linear(x.to(dtype), weight.dequantised(dtype), None if bias is None else bias.to(dtype)))
        return
    packed = weight.packed.reshape(outputs, row_bytes)
    rows = max(_TILE_ROWS, _TILE_BYTES // (inputs * dtype.itemsize))
    tile = torch.empty(min(rows, outputs), inputs, dtype=dtype)
    numbers = x.to(dtype)
    for first in range(0, outputs, rows):
        last = min(first + rows, outputs)
        plain = tile[: last - first]
        dequantise(packed[first:last].reshape(-1), weight.type_name, dtype, out=plain.reshape(-1))
        _product(numbers, plain, None if bias is None else bias[first:last].to(dtype), out[:, first:last])


def _product(x: Tensor, weight: Tensor, bias: Tensor | None, out: Tensor) -> None:
    if out.dtype != x.dtype:
        out.copy_(F.linear(x, weight, bias))
    elif bias is None:
        torch.mm(x, weight.t(), out=out)
    else:
        torch.addmm(bias, x, weight.t(), out=out)


def _splits_blocks(weight: GgufWeight) -> bool:
    """Whether a block holds the end of one row and the start of the next."""
    from sfumato_quant_gguf.blocks.layout import block_type

    return weight.shape[-1] % block_type(weight.type_name).block_size != 0
