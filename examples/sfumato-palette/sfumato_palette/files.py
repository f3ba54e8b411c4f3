"""The task `write_palettes`: a file for GIMP and Krita beside each picture."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, Field

from sfumato.errors import BadInput
from sfumato.events import PhaseStarted, Warned
from sfumato.queries import QueryContext
from sfumato.tasks import TaskContext
from sfumato_palette.colours import PaletteRequest, palette


class WritePalettesRequest(BaseModel):
    """For which pictures, and how many colours."""

    folder: Path = Field(description="Pictures in it get palettes.", json_schema_extra={"folder": True})
    colours: int = Field(default=16, ge=1, le=32, description="How many colours at most.")


class WrittenPalettes(BaseModel):
    """The files that were written."""

    files: tuple[Path, ...]


def write_palettes(request: WritePalettesRequest, context: TaskContext) -> WrittenPalettes:
    """Does again what an earlier attempt did: that gives the same files."""
    ask = QueryContext(context.registries, context.library, context.settings)
    written = []
    for picture in sorted(request.folder.glob("*.png")):
        context.cancel.check()
        context.events.emit(PhaseStarted(phase="writing", detail=picture.name))
        try:
            found = palette(PaletteRequest(picture=picture, colours=request.colours), ask)
        except BadInput as error:
            context.events.emit(Warned(message=str(error)))
            continue
        written.append(picture.with_suffix(".gpl"))
        written[-1].write_text(as_gimp_palette(picture.stem, found.colours), "utf-8")
    return WrittenPalettes(files=tuple(written))


def as_gimp_palette(name: str, colours: tuple[str, ...]) -> str:
    """The text of a .gpl file: a head, then red, green, blue and a name on each line."""
    lines = [f"{' '.join(str(part) for part in bytes.fromhex(colour[1:]))} {colour}" for colour in colours]
    return "\n".join(["GIMP Palette", f"Name: {name}", "#", *lines, ""])
