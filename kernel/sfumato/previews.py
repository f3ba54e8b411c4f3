"""The picture that people put beside a model's file to know it by."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

ENDINGS = (".png", ".preview.png", ".webp", ".jpg", ".jpeg", ".preview.jpg", ".preview.jpeg", ".preview.webp")
"""As A1111's extensions and download tools write them, after the file's name without its ending."""


def preview_beside(path: Path, present: Collection[str] | None = None) -> Path | None:
    """The preview of a file or model folder, if there is one; a link that leads nowhere is none.

    Args:
        present: The names of all files in its folder, where they are known: then fewer are asked for.
    """
    stem = path.name if path.is_dir() else path.stem
    for ending in ENDINGS:
        name = stem + ending
        if (present is None or name in present) and path.with_name(name).is_file():
            return path.with_name(name)
    return None
