"""`sfumato info`, `sheet`, `zip`: what pictures remember, many on one sheet, many in one file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sfumato.cli.output import print_json, printable
from sfumato.errors import BadInput

if TYPE_CHECKING:
    from sfumato.studio import Studio

Pictures = Annotated[list[Path], typer.Argument(help="Picture files, or folders of them.")]


def info(
    studio: Studio,
    pictures: Pictures,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object for every picture.")] = False,
) -> None:
    """Print what pictures remember: their infotext, and the program that wrote it."""
    from sfumato_pictures.reading import read_metadata, read_size

    for path in picture_files(pictures):
        metadata, (width, height) = read_metadata(path), read_size(path)
        told = metadata.parameters or "It does not tell how it was made."
        if as_json:
            print_json({"path": str(path), "width": width, "height": height, **_texts(metadata)})
        else:
            typer.echo(printable(f"{path} ({width}x{height}{_written_by(metadata)})\n{told}\n"))


def sheet(
    studio: Studio,
    pictures: Pictures,
    out: Annotated[Path, typer.Option(help="The sheet to write: .png, .jpg, .webp or .avif.")],
    columns: Annotated[int, typer.Option(min=0, help="Pictures in a row; 0 as square as can be.")] = 0,
) -> None:
    """Put pictures on one sheet."""
    from sfumato_pictures.sheet_file import write_sheet

    settings = studio.settings.saving
    typer.echo(str(write_sheet(picture_files(pictures), out.expanduser(), columns, settings)))


def archive(
    studio: Studio,
    pictures: Pictures,
    out: Annotated[Path, typer.Option(help="The ZIP file to write.")],
) -> None:
    """Put pictures into one ZIP file."""
    from sfumato_pictures.archive import write_archive

    typer.echo(str(write_archive(out.expanduser(), picture_files(pictures))))


def picture_files(given: list[Path]) -> list[Path]:
    """The files, and the pictures below the folders, by path; raises `BadInput` where there is none."""
    from sfumato_pictures.reading import SUFFIXES

    files: list[Path] = []
    for path in (each.expanduser() for each in given):
        inside = sorted(path.rglob("*")) if path.is_dir() else [path]
        files += [file for file in inside if not path.is_dir() or file.suffix.lower() in SUFFIXES]
    if not files:
        raise BadInput("There are no pictures.", hint="Name picture files, or a folder that holds some.")
    return files


def _texts(metadata: Any) -> dict[str, Any]:
    return {"parameters": metadata.parameters, "source": metadata.source, "story": metadata.story}


def _written_by(metadata: Any) -> str:
    return f", {metadata.source}" if metadata.source else ""
