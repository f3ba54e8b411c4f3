"""Plain numbers to blocks of any type that is written here, in tiles: memory stays small, caches stay warm.

Nothing is known of which weights matter more ("importance-free"): all types aim at the least squared error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from sfumato_quant_gguf.quantisers import k_types, non_linear, round_to_nearest, ternary
from sfumato_quant_gguf.written_types import tensor_type

TILE = 1 << 18
"""Numbers worked on at once: 1 MB of float32, and a few times that for what is made of them."""

PLAIN_TYPES: Mapping[str, torch.dtype] = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
_QUANTISERS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "Q8_0": round_to_nearest.q8_0,
    "Q4_0": round_to_nearest.q4_0,
    "Q4_1": round_to_nearest.q4_1,
    "Q5_0": round_to_nearest.q5_0,
    "Q5_1": round_to_nearest.q5_1,
    "Q2_K": k_types.q2_k,
    "Q3_K": k_types.q3_k,
    "Q4_K": k_types.q4_k,
    "Q5_K": k_types.q5_k,
    "Q6_K": k_types.q6_k,
    "IQ4_NL": non_linear.iq4_nl,
    "IQ4_XS": non_linear.iq4_xs,
    "TQ1_0": ternary.tq1_0,
    "TQ2_0": ternary.tq2_0,
    "MXFP4": non_linear.mxfp4,
}


def quantise(values: Tensor, type_name: str) -> Tensor:
    """The numbers in blocks, one after another.

    Args:
        values: Any floating-point type and shape; as many as fill whole blocks.
        type_name: One of `written_types.WRITABLE`.

    Returns:
        uint8 [bytes], on the CPU or wherever the numbers are.

    Raises:
        ValueError: the last block would not be full.
        KeyError: the type is not written.
    """
    flat = values.reshape(-1)
    if type_name in PLAIN_TYPES:
        return flat.to(PLAIN_TYPES[type_name]).contiguous().view(torch.uint8)
    kind = tensor_type(type_name)
    numbers, size = kind.block_size, kind.block_bytes
    if flat.numel() % numbers:
        raise ValueError(f"{flat.numel()} numbers are no whole blocks of {numbers}")
    packed = torch.empty(flat.numel() // numbers, size, dtype=torch.uint8, device=flat.device)
    for start in range(0, len(packed), step := TILE // numbers):
        blocks = flat[start * numbers : (start + step) * numbers].float().reshape(-1, numbers)
        packed[start : start + step] = _QUANTISERS[type_name](blocks)
    return packed.reshape(-1)
