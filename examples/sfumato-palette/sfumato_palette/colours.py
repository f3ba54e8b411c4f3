"""The query `palette`: what colours a picture has most of."""

from __future__ import annotations

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
    counted = sorted(few.convert("RGB").getcolors(), reverse=True)
    return Palette(colours=tuple("#%02x%02x%02x" % colour for _, colour in counted))
