"""LoRA files by the names that prompts use, and the hashes that infotexts show."""

from __future__ import annotations

import hashlib
import logging
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sfumato.errors import CheckpointError, SfumatoError, UnknownName

if TYPE_CHECKING:
    from sfumato.library import ModelLibrary

log = logging.getLogger(__name__)

FOLDER = "loras"
ALIAS = "ss_output_name"
"""The metadata in which kohya's sd-scripts keep the name that a file was trained under."""
_STORED_HASH = "sshs_model_hash"
_SHOWN = 12

State = tuple[str, int, int]


@dataclass(frozen=True)
class FoundFile:
    """The file that a name means.

    Attributes:
        others: Further files of that name.
    """

    path: Path
    others: tuple[Path, ...] = ()

    def note(self, name: str) -> str:
        """What is told of a name that means several files; empty where it means one."""
        if not self.others:
            return ""
        other, *more = self.others
        return (
            f"'{name}' names {len(self.others) + 1} files: {self.path} is used. "
            f"Another is meant by '{_own_name(other, (self.path, *more))}'."
        )


def file_state(path: Path) -> State:
    """Equal only for the same unchanged file; raises `CheckpointError` where there is none."""
    try:
        stat = path.stat()
    except OSError as error:
        raise CheckpointError(
            f"'{path.name}' cannot be read.", why=f"{error}.", hint="It may have been moved or deleted."
        ) from error
    return str(path.resolve()), stat.st_size, stat.st_mtime_ns


class LoraFiles:
    """Finds files by name; what headers say is remembered for as long as the files are unchanged."""

    def __init__(self) -> None:
        self._aliases: dict[State, str] = {}
        self._hashes: dict[State, str] = {}

    def find(self, names: Iterable[str], library: ModelLibrary) -> dict[str, FoundFile]:
        """The files of these names, with or without ending and folders before it, or of these aliases.

        Of several the outermost is taken. Letter case counts only where files differ by nothing else.

        Raises:
            UnknownName: there is none; the nearest names are offered.
        """
        wanted = list(dict.fromkeys(names))
        paths = library.files(FOLDER) if wanted else []
        folders = library.folders(FOLDER) if wanted else []
        found = {}
        for name in wanted:
            of_name = _named(name, paths) or [
                path for path in paths if self._alias(path, library).lower() == name.lower()
            ]
            if not of_name:
                hint = "'sfumato loras' lists them all." if paths else f"Put it into: {_where(library)}."
                raise UnknownName("LoRA", name, [path.stem for path in paths], hint=hint)
            first, *others = sorted(of_name, key=lambda path: _depth(path, folders))
            found[name] = FoundFile(first, tuple(others))
        return found

    def _alias(self, path: Path, library: ModelLibrary) -> str:
        if not library.is_weights(path):
            return ""
        try:
            state = file_state(path)
            if state not in self._aliases:
                self._aliases[state] = library.header(path).metadata.get(ALIAS, "")
            return self._aliases[state]
        except (SfumatoError, OSError):
            return ""  # damaged ones answer to their file's name alone

    def short_hash(self, path: Path, state: State, metadata: Mapping[str, str]) -> str:
        """A1111's: 12 digits of the hash that the file brings, else of its tensors' SHA-256.

        Empty where that has to be read and the file is gone by now: no picture is lost for it.

        Args:
            state: Of the file when it was opened.
        """
        stored = metadata.get(_STORED_HASH, "")
        if re.fullmatch(r"[0-9a-fA-F]{12,}", stored):
            return stored[:_SHOWN].lower()
        if state not in self._hashes:
            try:
                self._hashes[state] = _hash_of_tensors(path)
            except OSError:
                log.warning("'%s' is gone, so that its hash is left out", path)
                return ""
        return self._hashes[state][:_SHOWN]


def _hash_of_tensors(path: Path) -> str:
    """The SHA-256 of what follows a safetensors header, which tools rewrite; of other files whole."""
    with path.open("rb") as file:
        if path.suffix.lower() == ".safetensors":
            length = int.from_bytes(file.read(8), "little")
            file.seek(8 + length)
        return hashlib.file_digest(file, "sha256").hexdigest()


def _named(name: str, paths: Sequence[Path]) -> list[Path]:
    """Those of that name, letter case aside where none has it as it is written."""
    wanted, lower = _parts(name), _parts(name.lower())
    likely = [path for path in paths if lower[-1] in (path.name.lower(), path.stem.lower())]
    exactly = [path for path in likely if wanted in _endings(path, len(wanted))]
    return exactly or [path for path in likely if lower in _endings(Path(str(path).lower()), len(lower))]


def _depth(path: Path, folders: Sequence[Path]) -> int:
    """How many folders of the user's lie around a file."""
    return min(
        (len(path.relative_to(base).parts) for base in folders if path.is_relative_to(base)), default=0
    )


def _own_name(path: Path, others: Collection[Path]) -> str:
    """The shortest name that a file shares with none of the others."""
    for count in range(1, len(path.parts)):
        for name in reversed(_endings(path, count)):
            if not any(name in _endings(other, count) for other in others):
                return "/".join(name)
    return str(path)


def own_names(paths: Sequence[Path]) -> dict[Path, str]:
    """The shortest name of each file that it shares with no other of them."""
    counted = Counter(path.stem.lower() for path in paths)
    return {
        path: path.stem
        if counted[path.stem.lower()] == 1
        else _own_name(
            path, [other for other in paths if other != path and other.stem.lower() == path.stem.lower()]
        )
        for path in paths
    }


def _parts(name: str) -> tuple[str, ...]:
    return tuple(name.replace("\\", "/").strip("/").split("/"))


def _endings(path: Path, count: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The last parts of a path, with the file's ending and without."""
    return path.parts[-count:], path.with_suffix("").parts[-count:]


def _where(library: ModelLibrary) -> str:
    folders = library.folders(FOLDER) or [root / FOLDER for root in library.roots]
    return ", ".join(str(folder) for folder in folders)
