"""Reading a written GGUF file back. Imports no torch.

How far each tensor is off was measured on the very bytes whose checksums are compared here.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from math import sqrt
from pathlib import Path
from typing import BinaryIO

from sfumato.errors import CheckpointError
from sfumato_quant_gguf.header import parse_header
from sfumato_quant_gguf.mapped_file import mapped_file
from sfumato_quant_gguf.writing.journal import WrittenTensor
from sfumato_quant_gguf.writing.planning import PlannedTensor

_CHUNK = 1 << 24

USUAL_ERROR: Mapping[str, float] = {
    "F32": 0.0,
    "F16": 0.001,
    "BF16": 0.003,
    "Q8_0": 0.01,
    "Q6_K": 0.03,
    "Q5_K": 0.06,
    "Q5_1": 0.06,
    "Q5_0": 0.07,
    "Q4_K": 0.11,
    "Q4_1": 0.12,
    "Q4_0": 0.13,
    "IQ4_NL": 0.12,
    "IQ4_XS": 0.12,
    "MXFP4": 0.18,
    "Q3_K": 0.22,
    "Q2_K": 0.4,
    "TQ2_0": 1.0,
    "TQ1_0": 1.0,
}
"""The relative error up to which nothing is odd: about 1.5 times that of normally distributed weights."""


def verify(path: Path, planned: Sequence[PlannedTensor], written: Sequence[WrittenTensor]) -> None:
    """Raises `CheckpointError` unless the file holds exactly these tensors."""
    with mapped_file(path) as data:
        found = parse_header(data, path).tensors
    expected = {tensor.name: (tensor.type_name, tensor.rows) for tensor in planned}
    if {name: (one.type.name, one.shape) for name, one in found.items()} != expected:
        raise _differs(path, "Its header is not the one that was written.")
    with path.open("rb") as file:
        for tensor in written:
            place = found[tensor.name]
            file.seek(place.start)
            if crc_of(file, place.end - place.start) != tensor.crc32:
                raise _differs(path, f"Tensor {tensor.name!r} is not what was written.")
            if not tensor.relative_error <= sqrt(2):
                raise _differs(path, f"Tensor {tensor.name!r} has nothing left of its weights.")


def crc_of(file: BinaryIO, size: int) -> int:
    """The CRC-32 of so many bytes from here; of fewer where the file ends before."""
    crc = 0
    while size > 0 and (piece := file.read(min(size, _CHUNK))):
        crc, size = zlib.crc32(piece, crc), size - len(piece)
    return crc


def unusual(written: Sequence[WrittenTensor]) -> list[WrittenTensor]:
    """The tensors that lost more than is usual for their types, the worst first."""
    found = [one for one in written if one.relative_error > USUAL_ERROR[one.type_name]]
    return sorted(found, key=lambda one: -one.relative_error / max(USUAL_ERROR[one.type_name], 1e-9))


def _differs(path: Path, why: str) -> CheckpointError:
    return CheckpointError(
        f"'{path}' is not as it was written.",
        why=why,
        hint="The disk may be failing. Delete the file, and write it again.",
    )
