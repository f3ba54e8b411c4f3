"""Small pictures and masks on disk."""

from __future__ import annotations

from pathlib import Path

from PIL import Image


def plain(path: Path, size: tuple[int, int], colour: tuple[int, int, int] = (200, 60, 30)) -> Path:
    """A picture of one colour."""
    Image.new("RGB", size, colour).save(path)
    return path


def left_and_right(path: Path, size: tuple[int, int] = (32, 32)) -> Path:
    """A picture that is dark on its left half, bright on its right, and has a different corner."""
    picture = Image.new("RGB", size, (40, 40, 40))
    picture.paste((220, 200, 180), (size[0] // 2, 0, *size))
    picture.paste((20, 160, 60), (0, 0, size[0] // 4, size[1] // 4))
    picture.save(path)
    return path


def mask(path: Path, box: tuple[int, int, int, int] | None, size: tuple[int, int] = (32, 32)) -> Path:
    """Black, with a white box."""
    picture = Image.new("L", size, 0)
    if box:
        picture.paste(255, box)
    picture.save(path)
    return path
