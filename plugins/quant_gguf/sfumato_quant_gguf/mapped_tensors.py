"""Tensors of GGUF files, memory-mapped: nothing is read until used, and nothing is copied."""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor

from sfumato.errors import CheckpointError
from sfumato.models import CheckpointHeader, TensorInfo
from sfumato_networks.safetensors_file import map_file
from sfumato_networks.stored.tensor import WeightTensor
from sfumato_quant_gguf.blocks.layout import block_type
from sfumato_quant_gguf.blocks.tiles import Tiles
from sfumato_quant_gguf.weight import GgufWeight

PLAIN_TYPES = {
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F64": torch.float64,
    "I8": torch.int8,
    "I16": torch.int16,
    "I32": torch.int32,
    "I64": torch.int64,
}


class MappedGgufTensors(Mapping[str, Tensor]):
    """The tensors of a checkpoint by name, each made when asked for; their storage is the mapped file.

    Quantised ones stay in their blocks (`GgufWeight`), as weights that compute in float32 until another type
    is asked for: what cannot stay in its blocks is rounded once, to the type that it is wanted in. Pages are
    private: who writes to a tensor writes to a copy of that page, never to the file.

    Args:
        header: As `GgufFormat` reads it.

    Raises:
        CheckpointError: a file cannot be read, was cut short since, or has blocks that are not for weights.
    """

    def __init__(self, header: CheckpointHeader) -> None:
        self.header = header
        self._pages: dict[Path, mmap.mmap] = {}
        self._tiles = Tiles()

    def __getitem__(self, name: str) -> Tensor:
        info = self.header.tensors[name]
        packed = self._bytes(info)
        dtype = PLAIN_TYPES.get(info.dtype)
        if dtype is None:
            block_type(info.dtype)  # refuses those that nobody makes plain numbers of, before any is needed
            return WeightTensor(GgufWeight(packed, info.dtype, info.shape, self._tiles), torch.float32)
        if info.start % dtype.itemsize:
            packed = packed.clone()  # rare: tensors lie at multiples of 32 unless a file says otherwise
        return packed.view(dtype).view(info.shape)

    def __iter__(self) -> Iterator[str]:
        return iter(self.header.tensors)

    def __len__(self) -> int:
        return len(self.header.tensors)

    def _bytes(self, info: TensorInfo) -> Tensor:
        if info.size_bytes == 0:
            return torch.empty(0, dtype=torch.uint8)
        file = info.file or self.header.path
        if file not in self._pages:
            self._pages[file] = map_file(file)
        pages = self._pages[file]
        if info.end > len(pages):
            raise CheckpointError(f"'{file}' was cut short while in use.", hint="Load the model again.")
        return torch.frombuffer(pages, dtype=torch.uint8, count=info.size_bytes, offset=info.start)
