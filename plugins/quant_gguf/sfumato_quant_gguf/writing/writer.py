"""Writing a GGUF file: one tensor after another, in tiles, so that memory stays small.

The file grows under the name "<name>.part", beside a journal; a run that was stopped, in whatever way, is
taken up at the tensor that it had come to. Only a whole, verified file gets its own name.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import torch
from torch import Tensor

from sfumato.errors import BadInput, CheckpointError, SfumatoError
from sfumato.events import CancelToken
from sfumato_networks.stored.tensor import WeightTensor
from sfumato_quant_gguf.blocks.dequantise import dequantise
from sfumato_quant_gguf.quantisers.quantise import PLAIN_TYPES, quantise
from sfumato_quant_gguf.writing.encoding import Value, header_bytes, offsets
from sfumato_quant_gguf.writing.journal import Journal, WrittenTensor
from sfumato_quant_gguf.writing.planning import PlannedTensor
from sfumato_quant_gguf.writing.verifying import crc_of, verify
from sfumato_quant_gguf.writing.workers import Workers, workers

TILE = 1 << 20
"""Numbers that are read, quantised and written at once."""
_SPARE = 1 << 24
"""Bytes that stay free on the disk."""

Progress = Callable[[int, str], None]
"""Called with how many numbers are done, and the tensor that they are of."""


@dataclass(frozen=True)
class GgufTask:
    """A file to be written.

    Attributes:
        source: What the tensors come from: a file, or several.
        metadata: As it will be in the file.
        makes_folder: Whether a missing folder is made: of one that a person named, it may be misspelt.
    """

    source: Sequence[Path]
    tensors: Sequence[PlannedTensor]
    metadata: Mapping[str, Value]
    output: Path
    makes_folder: bool = False
    part: Path = field(init=False)
    journal: Path = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "part", self.output.with_name(self.output.name + ".part"))
        object.__setattr__(self, "journal", self.output.with_name(self.output.name + ".part.journal"))

    @property
    def header(self) -> bytes:
        return header_bytes(self.metadata, self.tensors)

    @property
    def size_bytes(self) -> int:
        """Of the file."""
        return len(self.header) + offsets(self.tensors)[-1]

    @property
    def key(self) -> str:
        """Equal for the same sources, as they are now, and the same result."""
        states = [(str(path.resolve()), (s := path.stat()).st_size, s.st_mtime_ns) for path in self.source]
        return hashlib.sha256(self.header + json.dumps(states).encode()).hexdigest()

    def check(self, *, force: bool) -> None:
        """Before anything is written.

        Raises:
            BadInput: the file is there already and is not to be replaced, is one of the sources, or its
                folder cannot be written.
            SfumatoError: the disk has too little space.
        """
        if any(self.output.exists() and path.samefile(self.output) for path in self.source):
            raise BadInput(f"'{self.output}' is what the weights come from.", hint="Choose another --output.")
        if self.output.exists() and not (force and self.output.is_file()):
            raise BadInput(
                f"'{self.output}' is there already.", hint="--force replaces it; or choose another --output."
            )
        if self.makes_folder:
            self.output.parent.mkdir(parents=True, exist_ok=True)
        if not self.output.parent.is_dir():
            raise BadInput(f"There is no folder '{self.output.parent}'.", hint="Make it, or choose another.")
        there = self.part.stat().st_size if self.part.exists() else 0
        free = shutil.disk_usage(self.output.parent).free + there
        if free < self.size_bytes + _SPARE:
            raise SfumatoError(
                f"There is no room for '{self.output.name}'.",
                why=f"It takes {self.size_bytes:,} bytes, and {free:,} are free.",
                hint="Make room, or choose another disk with --output.",
            )


def write_gguf(
    task: GgufTask,
    opened: Mapping[str, Tensor],
    *,
    force: bool = False,
    cancel: CancelToken | None = None,
    on_progress: Progress = lambda done, name: None,
    tell: Callable[[str], None] = lambda text: None,
) -> list[WrittenTensor]:
    """Write the file, or the rest of it.

    Args:
        opened: The tensors by the names that they are to have; taken one at a time.
        cancel: Looked at between tiles.
        tell: Is given a sentence where an unfinished file is continued, or begun anew.

    Returns:
        Every tensor as written, the order that of the file.

    Raises:
        BadInput: see `GgufTask.check`; or another run writes the same file.
        CheckpointError: a tensor holds numbers that are not finite, or not within the range of its type;
            what was written is not what is read back.
        Cancelled: what is done so far is kept.
    """
    try:
        task.check(force=force)
        journal = Journal(task.journal, task.key)
        try:
            with _opened_part(task, journal, tell) as file, workers() as several:
                _write_tensors(task, opened, file, journal, several, cancel or CancelToken(), on_progress)
            verify(task.part, task.tensors, journal.written)
            task.part.replace(task.output)
            written = journal.written
        finally:
            journal.close()
        task.journal.unlink()
    except OSError as error:
        raise SfumatoError(
            f"'{task.output}' cannot be written.",
            why=f"{error.strerror or error}.",
            hint="What is done so far is kept." if task.part.is_file() else "Choose another --output.",
        ) from error
    return written


@contextlib.contextmanager
def _opened_part(task: GgufTask, journal: Journal, tell: Callable[[str], None]) -> Iterator[BinaryIO]:
    """The unfinished file, cut to what counts of it, at its end."""
    whole = _whole_tensors(task, journal)
    if whole < len(journal.written):
        journal.forget(whole)
    if whole:
        tell(f"Going on with '{task.part.name}': {whole} of {len(task.tensors)} tensors are written.")
    elif journal.was_stale:
        tell(f"'{task.part.name}' was of another source or other types: it is begun anew.")
    with task.part.open("r+b" if whole else "wb") as file:
        if not whole:
            file.write(task.header)
        end = len(task.header) + offsets(task.tensors)[whole]
        file.truncate(end)
        file.seek(end)
        yield file
        file.flush()
        os.fsync(file.fileno())


def _whole_tensors(task: GgufTask, journal: Journal) -> int:
    """How many of the tensors that the journal names are there, unspoilt: a machine that went off may have
    lost what it had not yet brought to the disk."""
    if not task.part.is_file():
        return 0
    whole = 0
    with task.part.open("rb") as file:
        if file.read(len(task.header)) != task.header:
            return 0
        starts = offsets(task.tensors)
        for start, tensor, done in zip(starts, task.tensors, journal.written, strict=False):
            file.seek(len(task.header) + start)
            if done.name != tensor.name or crc_of(file, tensor.size_bytes) != done.crc32:
                break
            whole += 1
    return whole


def _write_tensors(
    task: GgufTask,
    opened: Mapping[str, Tensor],
    file: BinaryIO,
    journal: Journal,
    workers: Workers,
    cancel: CancelToken,
    on_progress: Progress,
) -> None:
    whole = len(journal.written)
    done = sum(prod(tensor.shape) for tensor in task.tensors[:whole])
    ends = offsets(task.tensors)[1:]
    start = len(task.header)
    for tensor, end in zip(task.tensors[whole:], ends[whole:], strict=True):
        on_progress(done, tensor.name)

        def within(numbers: int, tensor: PlannedTensor = tensor, before: int = done) -> None:
            cancel.check()
            on_progress(before + numbers, tensor.name)

        cancel.check()
        written = _write_tensor(tensor, opened[tensor.name], file, workers, within)
        file.write(bytes(start + end - file.tell()))
        file.flush()
        journal.add(written)
        done += prod(tensor.shape)
    on_progress(done, "")


def _write_tensor(
    tensor: PlannedTensor,
    values: Tensor,
    file: BinaryIO,
    workers: Workers,
    within: Callable[[int], None],
) -> WrittenTensor:
    if values.shape != tensor.shape:
        raise CheckpointError(
            f"Tensor '{tensor.name}' has the shape {list(values.shape)}, not {list(tensor.shape)}.",
            hint="The file may have changed meanwhile: begin again.",
        )
    crc, error, squares, done = 0, 0.0, 0.0, 0
    for tile in workers.in_order(partial(_quantised, tensor), tiles(values)):
        crc = zlib.crc32(tile.data, crc)
        file.write(tile.data)
        error, squares, done = error + tile.error, squares + tile.squares, done + tile.numbers
        within(done)
    return WrittenTensor(tensor.name, tensor.type_name, done, tensor.size_bytes, crc, error, squares)


class _Tile(NamedTuple):
    """Bytes to write, the squared error, the sum of squares, and how many numbers they are of."""

    data: Any
    error: float
    squares: float
    numbers: int


@torch.inference_mode()
def _quantised(tensor: PlannedTensor, tile: Tensor) -> _Tile:
    packed = quantise(tile, tensor.type_name)
    off = as_read(packed, tensor.type_name) - tile
    error = float(off.square_().sum(dtype=torch.float64))
    if not error < float("inf"):
        raise _not_finite(tensor, tile)
    return _Tile(packed.numpy(), error, float(tile.square().sum(dtype=torch.float64)), tile.numel())


def as_read(packed: Tensor, type_name: str) -> Tensor:
    """The numbers that the bytes stand for, float32."""
    if type_name in PLAIN_TYPES:
        return packed.view(PLAIN_TYPES[type_name]).float()
    return dequantise(packed, type_name, torch.float32)


def tiles(values: Tensor) -> Iterator[Tensor]:
    """A tensor's numbers in order, float32, some at a time: whole blocks of any type, but for the last."""
    if isinstance(values, WeightTensor) and values.ndim == 2:
        rows = max(TILE // values.shape[1] // 256, 1) * 256
        for first in range(0, values.shape[0], rows):
            part = values.stored.rows(first, min(first + rows, values.shape[0]))
            yield part.dequantised(torch.float32).reshape(-1)
        return
    flat = (values.stored.dequantised(torch.float32) if isinstance(values, WeightTensor) else values).reshape(
        -1
    )
    for first in range(0, flat.numel(), TILE):
        yield flat[first : first + TILE].float()


def _not_finite(tensor: PlannedTensor, tile: Tensor) -> CheckpointError:
    if not torch.isfinite(tile).all():
        return CheckpointError(
            f"Tensor '{tensor.name}' holds numbers that are infinite or none at all.",
            why="A model with such weights draws nothing.",
            hint="Get the model again.",
        )
    return CheckpointError(
        f"Tensor '{tensor.name}' holds numbers beyond the range of {tensor.type_name}.",
        why=f"The largest is {float(tile.abs().max()):.3g}.",
        hint=f"Keep it in another type: --rule '{tensor.name}=bf16'",
    )
