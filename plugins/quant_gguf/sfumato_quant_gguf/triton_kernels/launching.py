"""The kernels, ready to be called with tensors."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
import triton
from torch import Tensor

from sfumato_quant_gguf.blocks.layout import BlockType, block_type
from sfumato_quant_gguf.triton_kernels.decoding import GROUP_SIZES
from sfumato_quant_gguf.triton_kernels.kernels import (
    TILE,
    dequantise_kernel,
    linear_of_few_kernel,
    linear_of_one_kernel,
)

MOST_TOKENS = 16
"""With more, plain numbers and a dense product are faster."""

_NUMBERS = (torch.float32, torch.bfloat16, torch.float16)


class TritonKernels:
    """GGUF's blocks on a device that Triton knows."""

    def dequantise(self, type_name: str, packed: Tensor, out: Tensor) -> bool:
        """The blocks' numbers, as float32 ones rounded to nearest even.

        Args:
            type_name: As the format calls it: "Q4_K".
            packed: uint8 [bytes], whole blocks.
            out: Of as many numbers, contiguous, float32, bfloat16 or float16; written to.

        Returns:
            False where there is no kernel: nothing is written then.
        """
        if type_name not in GROUP_SIZES or out.dtype not in _NUMBERS or not out.is_contiguous():
            return False
        kind = block_type(type_name)
        sizes = _sizes(kind)
        blocks = packed.numel() // kind.block_bytes
        with _on(packed.device):
            dequantise_kernel[lambda chosen: (triton.cdiv(blocks, chosen["TILES"] * sizes["BLOCKS"]),)](
                packed.contiguous(), out, blocks, TYPE=type_name, **sizes
            )
        return True

    def linear(
        self,
        type_name: str,
        packed: Tensor,
        shape: Sequence[int],
        x: Tensor,
        bias: Tensor | None,
        out: Tensor,
    ) -> bool:
        """``x W^T + bias`` for at most 16 tokens, straight from the blocks, summed up in float32.

        Args:
            type_name: As the format calls it.
            packed: uint8 [bytes].
            shape: Of the plain weight: [outputs, inputs].
            x: [..., inputs], float32, bfloat16 or float16.
            bias: [outputs], or None.
            out: [..., outputs], contiguous, of x's type; written to.

        Returns:
            False where another way is better, or there is no kernel: nothing is written then.
        """
        outputs, inputs = shape
        tokens = x.numel() // inputs
        if not self._multiplies(type_name, inputs, tokens, x, out):
            return False
        kind = block_type(type_name)
        options = {"TYPE": type_name, "HAS_BIAS": bias is not None, **_sizes(kind)}
        tensors = (packed.contiguous(), x.contiguous(), out if bias is None else bias.contiguous(), out)
        row_blocks = inputs // kind.block_size
        with _on(packed.device):
            if tokens == 1:
                linear_of_one_kernel[lambda chosen: (triton.cdiv(outputs, chosen["ROWS"]),)](
                    *tensors, outputs, row_blocks, **options
                )
            else:
                linear_of_few_kernel[lambda chosen: (triton.cdiv(outputs, chosen["ROWS"]),)](
                    *tensors, tokens, outputs, row_blocks, TOKENS=MOST_TOKENS, **options
                )
        return True

    def _multiplies(self, type_name: str, inputs: int, tokens: int, x: Tensor, out: Tensor) -> bool:
        return (
            type_name in GROUP_SIZES
            and inputs % block_type(type_name).block_size == 0
            and 1 <= tokens <= MOST_TOKENS
            and x.dtype == out.dtype
            and x.dtype in _NUMBERS
            and out.is_contiguous()
        )


def _sizes(kind: BlockType) -> dict[str, int]:
    """What a kernel has to know of a type of blocks when it is compiled."""
    group_size = GROUP_SIZES[kind.name]
    return {
        "BLOCK_BYTES": kind.block_bytes,
        "BLOCKS": TILE // kind.block_size,
        "GROUPS": kind.block_size // group_size,
        "GROUP_SIZE": group_size,
    }


def _on(device: torch.device) -> AbstractContextManager[object]:
    """Triton launches on the current device, whatever its tensors say."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()
