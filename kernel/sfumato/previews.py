"""The picture that people put beside a model's file to know it by."""

from __future__ import annotations

from pathlib import Path

ENDINGS = (".png", ".preview.png", ".webp", ".jpg", ".jpeg", ".preview.jpg", ".preview.jpeg", ".preview.webp")
"""As A1111's extensions and download tools write them, after the file's name without its ending."""


def preview_beside(path: Path) -> Path | None:
    """The preview of a file or model folder, if there is one; a link that leads nowhere is none."""
    stem = path.name if path.is_dir() else path.stem
    for ending in ENDINGS:
        preview = path.with_name(stem + ending)
        if preview.is_file():
            return preview
    return None
