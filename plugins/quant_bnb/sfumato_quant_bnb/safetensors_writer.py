"""A safetensors file written tensor by tensor, so that no second model need fit into memory.

The header comes first in the file, and how long it gets is known last: room is left for it, and what is not
needed is filled with spaces, as the format allows.
"""

from __future__ import annotations

import ctypes
import json
import os
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import BinaryIO

from torch import Tensor

from sfumato_networks.safetensors_file import DTYPES

_BYTES_OF_AN_ENTRY = 200
"""Type, shape and positions of a tensor in the header, and its name's quotation marks."""
_ALIGNMENT = 8


def write_safetensors(
    path: Path, tensors: Iterable[tuple[str, Tensor]], names: Iterable[str], metadata: Mapping[str, str]
) -> None:
    """Write a new file, flushed to disk.

    Args:
        tensors: In the order of the file; each is asked for when the one before it is written.
        names: Of all that may come.

    Raises:
        OSError: it exists, or cannot be written.
    """
    texts = {"__metadata__": dict(metadata)} if metadata else {}
    room = len(json.dumps(texts)) + sum(len(json.dumps(name)) + _BYTES_OF_AN_ENTRY for name in names)
    room += -room % _ALIGNMENT
    spelt = {dtype: name for name, dtype in DTYPES.items()}
    header: dict[str, object] = dict(texts)
    with path.open("xb") as file:
        file.seek(8 + room)
        position = 0
        for name, tensor in tensors:
            size = _write(file, tensor)
            header[name] = {
                "dtype": spelt[tensor.dtype],
                "shape": list(tensor.shape),
                "data_offsets": [position, position + size],
            }
            position += size
        file.seek(0)
        file.write(struct.pack("<Q", room) + json.dumps(header).encode().ljust(room))
        file.flush()
        os.fsync(file.fileno())


def _write(file: BinaryIO, tensor: Tensor) -> int:
    """Its bytes, without a copy of them; gives their number."""
    flat = tensor.detach().cpu().contiguous()
    if flat.nbytes:
        file.write((ctypes.c_char * flat.nbytes).from_address(flat.data_ptr()))
    return flat.nbytes
