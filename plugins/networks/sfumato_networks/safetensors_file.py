"""Tensors of safetensors files, memory-mapped: nothing is read until used, and nothing is copied."""

from __future__ import annotations

import mmap
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor

from sfumato.errors import CheckpointError
from sfumato.models import CheckpointHeader, TensorInfo
from sfumato_networks.checkpoint_folder import read_checkpoint
from sfumato_networks.safetensors_header import unreadable

DTYPES = {
    "BOOL": torch.bool,
    "U8": torch.uint8,
    "I8": torch.int8,
    "F8_E5M2": torch.float8_e5m2,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E8M0": torch.float8_e8m0fnu,
    "F8_E5M2FNUZ": torch.float8_e5m2fnuz,
    "F8_E4M3FNUZ": torch.float8_e4m3fnuz,
    "I16": torch.int16,
    "U16": torch.uint16,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I32": torch.int32,
    "U32": torch.uint32,
    "F32": torch.float32,
    "C64": torch.complex64,
    "F64": torch.float64,
    "I64": torch.int64,
    "U64": torch.uint64,
}

# Python names the flag from 3.13 on. Without it Linux counts a private mapping as memory promised, and
# refuses to map a checkpoint larger than the machine's memory although none of it will be written to.
_LINUX_MAP_NORESERVE = 0x4000


class MappedTensors(Mapping[str, Tensor]):
    """The tensors of a checkpoint by name, each made when asked for; their storage is the mapped file.

    Pages are private: who writes to a tensor writes to a copy of that page, never to the file.

    Args:
        checkpoint: A path, or a header that was read from one before.

    Raises:
        CheckpointError: the file cannot be read, or is damaged.
    """

    def __init__(self, checkpoint: Path | CheckpointHeader) -> None:
        self.header = checkpoint if isinstance(checkpoint, CheckpointHeader) else read_checkpoint(checkpoint)
        self._pages: dict[Path, mmap.mmap] = {}

    def __getitem__(self, name: str) -> Tensor:
        info = self.header.tensors[name]
        file = info.file or self.header.path
        if file not in self._pages:
            self._pages[file] = map_file(file)
        return _tensor(self._pages[file], info, file)

    def __iter__(self) -> Iterator[str]:
        return iter(self.header.tensors)

    def __len__(self) -> int:
        return len(self.header.tensors)


def map_file(path: Path) -> mmap.mmap:
    """The whole file, mapped: pages are private, and none is read until used; raises `CheckpointError`."""
    try:
        with path.open("rb") as file:
            if sys.platform == "win32":
                return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
            flags = mmap.MAP_PRIVATE | (_LINUX_MAP_NORESERVE if sys.platform == "linux" else 0)
            return mmap.mmap(file.fileno(), 0, flags=flags, prot=mmap.PROT_READ | mmap.PROT_WRITE)
    except (OSError, ValueError) as error:  # ValueError: the file has become empty
        raise unreadable(path, error) from error


def _tensor(pages: mmap.mmap, info: TensorInfo, file: Path) -> Tensor:
    dtype = DTYPES[info.dtype]
    if info.size_bytes == 0:
        return torch.empty(info.shape, dtype=dtype)
    if info.end > len(pages):
        raise CheckpointError(f"'{file}' was cut short while in use.", hint="Load the model again.")
    flat = torch.frombuffer(pages, dtype=torch.uint8, count=info.size_bytes, offset=info.start)
    if info.start % dtype.itemsize:
        flat = flat.clone()  # rare: writers pad the header so that tensors lie at multiples of 8
    return flat.view(dtype).view(info.shape)
