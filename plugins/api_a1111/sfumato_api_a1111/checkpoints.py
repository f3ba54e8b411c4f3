"""Checkpoints by the names of A1111: titles with a short hash, file names, model names, hashes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sfumato.errors import SfumatoError
from sfumato.library import ModelLibrary
from sfumato.models import ModelInfo
from sfumato.registries import Registries

_HASH_BEHIND = re.compile(r"\s*\[[0-9a-fA-F]{6,64}\]$")
_HASH = re.compile(r"[0-9a-fA-F]{8,64}")
_SHORT = 10


@dataclass(frozen=True)
class Checkpoint:
    """A model as A1111 lists it.

    Attributes:
        request_name: What finds it again in a request.
        relative: Its path below the folder of checkpoints.
        sha256: Of its file; empty while it has not been worked out.
    """

    info: ModelInfo
    request_name: str
    relative: str
    sha256: str

    @property
    def short_hash(self) -> str:
        return self.sha256[:_SHORT]

    @property
    def title(self) -> str:
        return f"{self.relative} [{self.short_hash}]" if self.sha256 else self.relative

    @property
    def model_name(self) -> str:
        return self.relative.removesuffix(Path(self.relative).suffix).replace("/", "_")

    def answers_to(self, name: str) -> bool:
        """Whether that is its title, with or without the hash, one of its names, or its hash."""
        plain = _HASH_BEHIND.sub("", name).replace("\\", "/")
        path = Path(self.relative)
        known = (self.relative, self.model_name, self.request_name, path.name, path.stem, self.info.name)
        if plain.lower() in [spelling.lower() for spelling in known] or name == str(self.info.path):
            return True
        return bool(self.sha256 and _HASH.fullmatch(name)) and self.sha256.startswith(name.lower())

    def listed(self) -> dict[str, Any]:
        return {
            "title": self.title,
            "model_name": self.model_name,
            "hash": self.short_hash or None,
            "sha256": self.sha256 or None,
            "filename": str(self.info.path),
            "config": None,
        }


def all_checkpoints(library: ModelLibrary, registries: Registries) -> list[Checkpoint]:
    """Every model that can be drawn with."""
    return [checkpoint_of(info, library, registries) for info in library.models()]


def checkpoint_of(info: ModelInfo, library: ModelLibrary, registries: Registries) -> Checkpoint:
    """A model as A1111 calls it."""
    registered = (
        info.name in registries.models and Path(str(registries.models.get(info.name).target)) == info.path
    )
    relative = info.path.name if registered else _relative(info.path, library)
    sha256 = library.known_sha256(info.path) if info.path.is_file() else ""
    return Checkpoint(info, info.name if registered else relative, relative, sha256)


def find_checkpoint(name: str, library: ModelLibrary, registries: Registries) -> Checkpoint | None:
    """The checkpoint that answers to a name; None where there is none."""
    for guess in dict.fromkeys((_HASH_BEHIND.sub("", name), name)):
        if not guess or _HASH.fullmatch(guess) or Path(guess).is_absolute():
            continue
        try:
            info = library.find(guess)
        except (SfumatoError, OSError):
            continue
        if _is_installed(info, library, registries):
            return checkpoint_of(info, library, registries)
    return next(_answering(name, library, registries), None)


def _is_installed(info: ModelInfo, library: ModelLibrary, registries: Registries) -> bool:
    """Whether it is one of those that are listed: clients name no other files of this machine."""
    return info.name in registries.models or any(
        info.path.is_relative_to(folder)
        for kind in ("checkpoints", "diffusion_models")
        for folder in library.folders(kind)
    )


def _answering(name: str, library: ModelLibrary, registries: Registries) -> Iterator[Checkpoint]:
    if name:
        yield from (found for found in all_checkpoints(library, registries) if found.answers_to(name))


def current_checkpoint(name: Any, library: ModelLibrary, registries: Registries) -> Checkpoint | None:
    """The chosen one, else the default one; None where no model is installed."""
    found = find_checkpoint(name, library, registries) if isinstance(name, str) else None
    if found is not None:
        return found
    try:
        return checkpoint_of(library.find(None), library, registries)
    except (SfumatoError, OSError):
        return None


def _relative(path: Path, library: ModelLibrary) -> str:
    for kind in ("checkpoints", "diffusion_models"):
        for folder in library.folders(kind):
            if path.is_relative_to(folder):
                return path.relative_to(folder).as_posix()
    return path.name
