"""A file's bytes without reading them: the header is a small part of it. Imports no torch."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sfumato_networks.safetensors_header import unreadable
from sfumato_quant_gguf.byte_reader import Buffer, damaged


@contextmanager
def mapped_file(path: Path) -> Iterator[Buffer]:
    """The bytes of a file, of which only those that are looked at are read; raises `CheckpointError`."""
    with closing(_map(path)) as data:
        yield data


def _map(path: Path) -> mmap.mmap:
    try:
        with path.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except ValueError as error:
        raise damaged(path, "It is empty.") from error
    except OSError as error:
        raise unreadable(path, error) from error
