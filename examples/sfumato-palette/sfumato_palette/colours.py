"""The query `palette`: what colours a picture has most of."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from PIL import Image, UnidentifiedImageError
from pydantic import BaseModel, Field

from sfumato.errors import BadInput
from sfumato.queries import QueryContext

SIDE = 64
"""Pixels that a picture is made smaller to: enough to count colours, and quick."""


class PaletteRequest(BaseModel):
    """Of which picture, and how many colours."""

    picture: Path = Field(description="The picture's file.", json_schema_extra={"picture": True})
    colours: int = Field(default=5, ge=1, le=32, description="How many colours at most.")


class Palette(BaseModel):
    """Colours, the most frequent one first."""

    colours: tuple[str, ...] = Field(description="Each as '#rrggbb'.")


def palette(request: PaletteRequest, context: QueryContext) -> Palette:
    """Raises `BadInput` for a file that is no picture."""
    try:
        with Image.open(request.picture) as picture:
            picture.thumbnail((SIDE, SIDE))
            few = picture.convert("RGB").quantize(request.colours, Image.Quantize.MAXCOVERAGE)
    except (OSError, UnidentifiedImageError) as error:
        raise BadInput(f"'{request.picture.name}' cannot be read as a picture.", why=f"{error}.") from error
    pixels = few.convert("RGB").tobytes()
    counted = Counter(pixels[start : start + 3].hex() for start in range(0, len(pixels), 3))
    return Palette(colours=tuple(f"#{colour}" for colour, _ in counted.most_common()))
