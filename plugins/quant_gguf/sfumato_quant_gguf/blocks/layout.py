"""How many numbers a block of each of GGUF's types holds, and in how many bytes.

The layouts are those of ggml (ggml-common.h), which the package `gguf` lists as GGML_QUANT_SIZES. They stand
here again because reading a file's header needs them, and that package takes numpy along.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sfumato.errors import CheckpointError


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

    def bytes_of(self, numbers: int) -> int:
        """Bytes that so many numbers, whole blocks of them, take."""
        return numbers // self.block_size * self.block_bytes


_LAYOUTS: Mapping[str, tuple[int, int]] = {
    "Q4_0": (32, 18),
    "Q4_1": (32, 20),
    "Q5_0": (32, 22),
    "Q5_1": (32, 24),
    "Q8_0": (32, 34),
    "Q2_K": (256, 84),
    "Q3_K": (256, 110),
    "Q4_K": (256, 144),
    "Q5_K": (256, 176),
    "Q6_K": (256, 210),
    "IQ1_S": (256, 50),
    "IQ1_M": (256, 56),
    "IQ2_XXS": (256, 66),
    "IQ2_XS": (256, 74),
    "IQ2_S": (256, 82),
    "IQ3_XXS": (256, 98),
    "IQ3_S": (256, 110),
    "IQ4_NL": (32, 18),
    "IQ4_XS": (256, 136),
    "TQ1_0": (256, 54),
    "TQ2_0": (256, 66),
    "MXFP4": (32, 17),
    "NVFP4": (64, 36),
}


def block_types() -> tuple[BlockType, ...]:
    """All types that can be dequantised."""
    return tuple(BlockType(name, *layout) for name, layout in _LAYOUTS.items())


def block_type(name: str) -> BlockType:
    """The type of that name.

    Raises:
        CheckpointError: there is none, or nobody knows how to dequantise it.
    """
    layout = _LAYOUTS.get(name)
    if layout is None:
        raise CheckpointError(
            f"Weights of type {name} cannot be used.",
            why="Nobody has said how its blocks become numbers.",
            hint=f"Use a file with weights of another type: {', '.join(_LAYOUTS)}.",
        )
    return BlockType(name, *layout)
