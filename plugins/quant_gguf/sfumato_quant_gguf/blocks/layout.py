"""The types of blocks that become plain numbers, and what is known of them. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from sfumato.errors import CheckpointError
from sfumato_quant_gguf.tensor_types import TYPES
from sfumato_quant_gguf.written_types import WRITABLE

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


@dataclass(frozen=True)
class BlockType:
    """One type of block.

    Attributes:
        name: As the format calls it: "Q4_K".
        block_size: Numbers in a block.
        block_bytes: Bytes of a block.
    """

    name: str
    block_size: int
    block_bytes: int

    @property
    def bits(self) -> float:
        """Bits that a number takes, scales included."""
        return 8 * self.block_bytes / self.block_size

    @property
    def has_kernels(self) -> bool:
        return self.name in WITH_KERNELS

    @property
    def is_written(self) -> bool:
        """Whether `sfumato quantize` makes such blocks."""
        return self.name in WRITABLE

    def bytes_of(self, numbers: int) -> int:
        """Bytes that so many numbers, whole blocks of them, take."""
        return numbers // self.block_size * self.block_bytes


@lru_cache(maxsize=1)
def supported_types() -> tuple[BlockType, ...]:
    """All types of blocks that weights may be stored in, the most common ones first."""
    sizes = {kind.name: (kind.block_size, kind.block_bytes) for kind in TYPES.values()}
    return tuple(BlockType(name, *sizes[name]) for name in DEQUANTISABLE)


@lru_cache
def block_type(name: str) -> BlockType:
    """The type of that name.

    Raises:
        CheckpointError: there is none, or nobody knows how to dequantise it.
    """
    for known in supported_types():
        if known.name == name:
            return known
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
        kernels, written = ("yes" if answer else "" for answer in (kind.has_kernels, kind.is_written))
        rows.append(f"| {kind.name} | {kind.bits:g} | yes | {kernels} | {written} |".replace("  ", " "))
    return "\n".join(rows)
