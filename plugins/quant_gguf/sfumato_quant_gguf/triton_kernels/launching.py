"""The kernels, ready to be called with tensors."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
import triton
from torch import Tensor

from sfumato_quant_gguf.blocks.layout import block_type
from sfumato_quant_gguf.tensor_types import TensorType
from sfumato_quant_gguf.triton_kernels.decoding import GROUP_SIZES
from sfumato_quant_gguf.triton_kernels.kernels import (
    TILE,
    dequantise_kernel,
    linear_of_few_kernel,
    linear_of_one_kernel,
)

MOST_TOKENS = 16
"""With more, plain numbers and a dense product are faster."""

_ROWS_OF_ONE, _ROWS_OF_FEW = 4, 16
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

        Raises:
            ValueError: `out` has another number of numbers than the blocks.
        """
        if type_name not in GROUP_SIZES or not _computable(out, packed.device):
            return False
        kind = block_type(type_name)
        blocks = out.numel() // kind.block_size
        if blocks * kind.block_size != out.numel() or blocks * kind.block_bytes != packed.numel():
            raise ValueError(f"{packed.numel()} bytes of {type_name} are not {out.numel()} numbers")
        tile_blocks = TILE // kind.block_size
        with _on(packed.device):
            dequantise_kernel[lambda chosen: (triton.cdiv(blocks, chosen["TILES"] * tile_blocks),)](
                packed.contiguous(), out, blocks, **_options(kind)
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

        Raises:
            ValueError: the sizes do not fit.
        """
        outputs, inputs = shape
        tokens = x.numel() // max(inputs, 1)
        usable = _computable(out, packed.device) and x.dtype == out.dtype and x.device == out.device
        if type_name not in GROUP_SIZES or not usable or not 1 <= tokens <= MOST_TOKENS:
            return False
        kind = block_type(type_name)
        if inputs % kind.block_size:
            return False
        if packed.numel() != kind.size_bytes(outputs * inputs) or out.numel() != tokens * outputs:
            raise ValueError(
                f"{packed.numel()} bytes of {type_name} as {outputs} x {inputs} do not turn {list(x.shape)} "
                f"into {list(out.shape)}"
            )
        tensors = (packed.contiguous(), x.contiguous(), out if bias is None else bias.contiguous(), out)
        sizes = (outputs, inputs // kind.block_size)
        options = {"HAS_BIAS": bias is not None, **_options(kind)}
        with _on(packed.device):
            if tokens == 1:
                programs = (triton.cdiv(outputs, _ROWS_OF_ONE),)
                linear_of_one_kernel[programs](*tensors, *sizes, ROWS=_ROWS_OF_ONE, **options)
            else:
                programs = (triton.cdiv(outputs, _ROWS_OF_FEW),)
                linear_of_few_kernel[programs](
                    *tensors, tokens, *sizes, ROWS=_ROWS_OF_FEW, TOKENS=MOST_TOKENS, num_stages=2, **options
                )
        return True


def _computable(out: Tensor, device: torch.device) -> bool:
    return out.device == device and out.dtype in _NUMBERS and out.is_contiguous() and out.numel() > 0


def _options(kind: TensorType) -> dict[str, object]:
    """What a kernel has to know of a type of blocks when it is compiled."""
    group_size = GROUP_SIZES[kind.name]
    return {
        "TYPE": kind.name,
        "BLOCK_BYTES": kind.block_bytes,
        "BLOCKS": TILE // kind.block_size,
        "GROUPS": kind.block_size // group_size,
        "GROUP_SIZE": group_size,
        "enable_fp_fusion": True,  # makes no difference, see `decoding`, but has to be said
    }


def _on(device: torch.device) -> AbstractContextManager[object]:
    """Triton launches on the current device, whatever its tensors say."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()
