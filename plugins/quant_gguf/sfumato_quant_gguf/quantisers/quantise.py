"""Plain numbers to blocks of any type that is written here, in tiles: memory stays small, caches stay warm.

Nothing is known of which weights matter more ("importance-free"): all types aim at the least squared error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

import torch
from torch import Tensor

from sfumato.errors import BadInput, UnknownName
from sfumato_quant_gguf.quantisers import k_types, non_linear, round_to_nearest, ternary

TILE = 1 << 18
"""Numbers worked on at once: 1 MB of float32, and a few times that for what is made of them."""

_PLAIN: Mapping[str, torch.dtype] = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
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
WRITABLE = (*_PLAIN, *_QUANTISERS)
"""The types that are written, as the format spells them."""

_NEED_IMPORTANCE = ("IQ3_S", "IQ3_XXS", "IQ2_S", "IQ2_XS", "IQ2_XXS", "IQ1_S", "IQ1_M")


def checked_type(name: str) -> str:
    """A type that is written, as the format spells it, from a name in any letter case.

    Raises:
        BadInput: there is such a type, but it is only read here.
        UnknownName: there is none.
    """
    found = name.upper()
    if found in WRITABLE:
        return found
    if found in _NEED_IMPORTANCE:
        raise BadInput(
            f"Weights are not written as {found}.",
            why="So few bits need to know how much each weight matters (an importance matrix).",
            hint="Choose q2_k, q3_k or tq2_0 for the smallest files, or get one that others have written.",
        )
    raise UnknownName("type of weights", name, [known.lower() for known in WRITABLE])


@lru_cache
def block_sizes(type_name: str) -> tuple[int, int]:
    """Numbers and bytes of one block."""
    from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

    return GGML_QUANT_SIZES[GGMLQuantizationType[type_name]]


def quantise(values: Tensor, type_name: str) -> Tensor:
    """The numbers in blocks, one after another.

    Args:
        values: Any floating-point type and shape; as many as fill whole blocks.
        type_name: One of `WRITABLE`.

    Returns:
        uint8 [bytes], on the CPU or wherever the numbers are.

    Raises:
        ValueError: the last block would not be full.
    """
    flat = values.reshape(-1)
    if type_name in _PLAIN:
        return flat.to(_PLAIN[type_name]).contiguous().view(torch.uint8)
    numbers, size = block_sizes(type_name)
    if flat.numel() % numbers:
        raise ValueError(f"{flat.numel()} numbers are no whole blocks of {numbers}")
    packed = torch.empty(flat.numel() // numbers, size, dtype=torch.uint8, device=flat.device)
    for start in range(0, len(packed), step := TILE // numbers):
        blocks = flat[start * numbers : (start + step) * numbers].float().reshape(-1, numbers)
        packed[start : start + step] = _QUANTISERS[type_name](blocks)
    return packed.reshape(-1)
