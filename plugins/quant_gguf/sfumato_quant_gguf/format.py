"""GGUF files as the kernel drives them; torch is imported on opening tensors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from sfumato.models import CheckpointHeader
from sfumato_quant_gguf.file_header import read_header

if TYPE_CHECKING:
    from torch import Tensor


class GgufFormat:
    """A GGUF file, or several that it was split into; fulfils `sfumato.models.WeightFormat`.

    Tensors have their plain shapes, and types as ggml spells them ("Q4_K").
    """

    def read_header(self, path: Path) -> CheckpointHeader:
        """Names, types, shapes and positions; raises `CheckpointError` where anything is wrong."""
        return read_header(path)

    def open_tensors(self, path: Path) -> Mapping[str, Tensor]:
        """The tensors by name, memory-mapped, quantised ones in their blocks.

        Raises `CheckpointError` where anything is wrong.
        """
        from sfumato_quant_gguf.mapped_tensors import MappedGgufTensors

        return MappedGgufTensors(read_header(path))
