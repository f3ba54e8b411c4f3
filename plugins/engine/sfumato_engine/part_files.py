"""Files that a request names for parts of its model: another VAE, another text encoder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from sfumato.errors import UnknownName
from sfumato.library import ModelLibrary

FOLDER_OF_AUTOENCODERS = "vae"
FOLDER_OF_OTHERS = "text_encoders"


def named_parts(parts: Mapping[str, str], library: ModelLibrary) -> dict[str, Path]:
    """By kind of part, the file of that name in the model folders, or at that path.

    Raises:
        UnknownName: there is no such file; the nearest names are offered.
    """
    return {kind: _found(kind, name, library) for kind, name in parts.items()}


def _found(kind: str, name: str, library: ModelLibrary) -> Path:
    folder = FOLDER_OF_AUTOENCODERS if kind == "autoencoder" else FOLDER_OF_OTHERS
    files = library.files(folder)
    wanted = name.replace("\\", "/").lower()
    for path in files:
        if wanted in (path.stem.lower(), path.name.lower()) or path.as_posix().lower().endswith(f"/{wanted}"):
            return path
    path = Path(name).expanduser()
    if path.is_file():
        return path
    raise UnknownName(f"file for the part '{kind}'", name, [file.stem for file in files])
