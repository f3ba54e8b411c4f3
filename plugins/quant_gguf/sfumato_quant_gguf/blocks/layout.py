"""The types of blocks that become plain numbers, and what is known of them. Imports no torch."""

from __future__ import annotations

from functools import lru_cache

from sfumato.errors import CheckpointError
from sfumato_quant_gguf.tensor_types import TensorType
from sfumato_quant_gguf.written_types import WRITABLE, tensor_type

WITH_KERNELS = (
    *("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"),
    *("Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS"),
)
"""Those that files in the wild have; compiled kernels, in C and in Triton, are for these."""

DEQUANTISABLE = (
    *WITH_KERNELS,
    *("IQ3_S", "IQ3_XXS", "IQ2_S", "IQ2_XS", "IQ2_XXS", "IQ1_M", "IQ1_S"),
    *("TQ2_0", "TQ1_0", "MXFP4", "NVFP4"),
)
"""All types whose blocks the package gguf can dequantise."""


@lru_cache(maxsize=1)
def supported_types() -> tuple[TensorType, ...]:
    """All types of blocks that weights may be stored in, the most common ones first."""
    return tuple(tensor_type(name) for name in DEQUANTISABLE)


@lru_cache
def block_type(name: str) -> TensorType:
    """The type of that name.

    Raises:
        CheckpointError: there is none, or nobody knows how to dequantise it.
    """
    if name in DEQUANTISABLE:
        return tensor_type(name)
    raise CheckpointError(
        f"Weights of type {name} cannot be used.",
        why="Nobody has said how its blocks become numbers.",
        hint=f"Use a file with weights of another type: {', '.join(DEQUANTISABLE)}.",
    )


def types_table() -> str:
    """The supported types as rows of a table in Markdown."""
    rows = [
        "| Type | Bits a weight | Operators of torch | Kernels in C, Triton | Written |",
        "|" + " --- |" * 5,
    ]
    for kind in supported_types():
        kernels, written = ("yes" if kind.name in names else "" for names in (WITH_KERNELS, WRITABLE))
        bits = 8 * kind.block_bytes / kind.block_size
        rows.append(f"| {kind.name} | {bits:g} | yes | {kernels} | {written} |".replace("  ", " "))
    return "\n".join(rows)
