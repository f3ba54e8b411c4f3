"""The few bytes of small tensors, read while a header is: their content says how others are packed."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from sfumato.errors import CheckpointError
from sfumato.models import CheckpointHeader


def read_bytes(header: CheckpointHeader, names: Sequence[str], most: int) -> list[bytes]:
    """What the tensors of these names hold.

    Args:
        most: Bytes that one of them may have.

    Raises:
        CheckpointError: one is larger, or the file cannot be read or is cut short.
    """
    with contextlib.ExitStack() as stack:
        files: dict[Path, BinaryIO] = {}
        found = []
        for name in names:
            info = header.tensors[name]
            if not 0 <= info.size_bytes <= most:
                raise _unusable(header, name, f"It has {info.size_bytes} bytes, more than {most}.")
            path = info.file or header.path
            try:
                if path not in files:
                    files[path] = stack.enter_context(path.open("rb"))
                files[path].seek(info.start)
                text = files[path].read(info.size_bytes)
            except (OSError, ValueError) as error:
                raise _unusable(header, name, f"{error}.") from error
            if len(text) != info.size_bytes:
                raise _unusable(header, name, "The file ends before it.")
            found.append(text)
    return found


def _unusable(header: CheckpointHeader, name: str, why: str) -> CheckpointError:
    return CheckpointError(
        f"'{header.path.name}' cannot be used: '{name}' cannot be read.",
        why=why,
        hint="The file may be damaged: get it again, or ask who made it.",
    )
