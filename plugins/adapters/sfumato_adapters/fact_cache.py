"""What headers of adapters told, kept on disk: thousands of them take a while to read."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sfumato_adapters.files import State

log = logging.getLogger(__name__)

FORMAT = 1
"""Raised whenever headers are understood in another way: what was kept before is then read anew."""


@dataclass(frozen=True)
class Facts:
    """What the header of one file tells.

    Attributes:
        state: Of the file that was read.
        fields: Those of `sfumato_adapters.listing.AdapterItem`.
        width: Features that most of its layers read; 0 where nothing tells.
    """

    state: State
    fields: dict[str, Any]
    width: int = 0

    @property
    def is_lasting(self) -> bool:
        """Whether the file alone decides it: what went wrong, or is forbidden now, may be otherwise soon."""
        return self.fields.get("problem") == ""


def load(file: Path) -> dict[Path, Facts]:
    """By path; empty where nothing was kept, or nothing that can be used."""
    try:
        kept = json.loads(file.read_bytes())
        if kept["format"] != FORMAT:
            return {}
        return {
            Path(path): Facts((str(state[0]), int(state[1]), int(state[2])), dict(fields), int(width))
            for path, state, fields, width in kept["files"]
        }
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, LookupError) as error:
        log.warning("What is known of adapters is read anew: %s cannot be used: %s", file, error)
        return {}


def store(file: Path, facts: Iterable[tuple[Path, Facts]]) -> None:
    """Replace what was kept; a disk that is full or read-only costs time at the next start, nothing else."""
    files = [(str(path), one.state, one.fields, one.width) for path, one in facts if one.is_lasting]
    draft = file.with_name(f"{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(json.dumps({"format": FORMAT, "files": files}), encoding="utf-8")
        draft.replace(file)
    except OSError as error:
        log.warning("What is known of adapters cannot be kept in %s: %s", file, error)
