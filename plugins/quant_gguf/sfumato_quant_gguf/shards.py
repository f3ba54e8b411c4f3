"""GGUF files that were split, as gguf-split of llama.cpp names them: NAME-00001-of-00003.gguf.

Imports no torch.
"""

from __future__ import annotations

import re
from pathlib import Path

from sfumato.errors import CheckpointError

MAX_SHARDS = 1_000

_SHARD = re.compile(r"(?P<model>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})", re.IGNORECASE | re.ASCII)


def shards_of(path: Path) -> list[Path]:
    """All files of the model whose first one ``path`` is; itself alone where it was not split.

    Raises:
        CheckpointError: it is not the first one, or another one is missing.
    """
    match = _SHARD.fullmatch(path.stem)
    if match is None or int(match["count"]) < 2:
        return [path]
    model, count = match["model"], int(match["count"])
    files = [
        path.with_name(f"{model}-{number:05}-of-{count:05}{path.suffix}") for number in range(1, count + 1)
    ]
    if int(match["number"]) != 1:
        raise CheckpointError(
            f"'{path}' is one piece of a model.",
            why="The first piece stands for all.",
            hint=f"Name '{files[0].name}'{_beside(files[0])}.",
        )
    missing = [file.name for file in files[:MAX_SHARDS] if not file.is_file()]
    if missing or count > MAX_SHARDS:
        raise CheckpointError(
            f"'{path}' is the first of {count} pieces of a model.",
            why=f"{len(missing)} of them are missing, such as '{missing[0]}'."
            if missing
            else "Those are too many.",
            hint="Put all pieces into its folder.",
        )
    return files


def _beside(first: Path) -> str:
    return "" if first.is_file() else ", which has to be put beside it"
