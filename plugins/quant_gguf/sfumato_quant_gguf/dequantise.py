"""Blocks of any of GGUF's types as plain numbers, by the fastest way that there is for their device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from sfumato_quant_gguf.blocks import dequantise as blocks
from sfumato_quant_gguf.blocks.layout import block_type
from sfumato_quant_gguf.blocks.tiles import Tiles
from sfumato_quant_gguf.native import native_kernels
from sfumato_quant_gguf.triton_kernels import triton_kernels


class Kernels(Protocol):
    """Compiled kernels for a device: each says whether it did the work."""

    def dequantise(self, type_name: str, packed: Tensor, out: Tensor) -> bool:
        """Write the numbers of whole blocks."""

    def linear(
        self,
        type_name: str,
        packed: Tensor,
        shape: Sequence[int],
        x: Tensor,
        bias: Tensor | None,
        out: Tensor,
    ) -> bool:
        """Write ``x W^T + bias`` for a few tokens, x [tokens, inputs]."""


def kernels_for(device: torch.device) -> Kernels | None:
    """The compiled kernels for tensors on that device, if there are any."""
    return native_kernels() if device.type == "cpu" else triton_kernels(device)


def dequantise(
    packed: Tensor,
    type_name: str,
    dtype: torch.dtype,
    out: Tensor | None = None,
    tiles: Tiles | None = None,
) -> Tensor:
    """Blocks as plain numbers: by a kernel, or by torch's operators, with the same result.

    Args:
        packed: uint8, contiguous: whole blocks one after another, on any device.
        type_name: As the format calls it: "Q4_K".
        dtype: A floating-point type; numbers are float32 rounded to the nearest, ties to even.
        out: Where they go, contiguous, of that type and on that device; by default a new tensor.
        tiles: What keeps the buffers that torch's operators take for the next call.

    Returns:
        [numbers], or `out`.

    Raises:
        CheckpointError: the type cannot be dequantised.
        ValueError: `packed` is not whole blocks, or `out` does not fit.
    """
    return dequantise_by(kernels_for(packed.device), packed, type_name, dtype, out, tiles)


def dequantise_by(
    kernels: Kernels | None,
    packed: Tensor,
    type_name: str,
    dtype: torch.dtype,
    out: Tensor | None = None,
    tiles: Tiles | None = None,
) -> Tensor:
    """The same by these kernels where they can, by torch alone where not."""
    if kernels is None:
        return blocks.dequantise(packed, type_name, dtype, out, tiles)
    layout = block_type(type_name)
    if packed.numel() % layout.block_bytes:
        raise ValueError(f"{packed.numel()} bytes are not whole blocks of {type_name}")
    count = packed.numel() // layout.block_bytes * layout.block_size
    if out is None:
        out = torch.empty(count, dtype=dtype, device=packed.device)
    elif out.numel() != count or out.dtype != dtype:
        raise ValueError(f"{count} numbers of {type_name} do not fit into {list(out.shape)}, {out.dtype}")
    if kernels.dequantise(type_name, packed, out):
        return out
    return blocks.dequantise(packed, type_name, dtype, out, tiles)
