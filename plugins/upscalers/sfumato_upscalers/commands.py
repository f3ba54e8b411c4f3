"""`sfumato upscale` and `sfumato upscalers`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sfumato.studio import Studio

if TYPE_CHECKING:
    from sfumato.upscaling import UpscaleResult

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Share = Annotated[float, typer.Option(min=0, max=1)]


def upscale(
    studio: Studio,
    images: Annotated[list[Path], typer.Argument(help="Pictures, or folders of them.")],
    upscaler: Annotated[str, typer.Option(help="What enlarges them; see 'sfumato upscalers'.")] = "lanczos",
    scale: Annotated[float, typer.Option(help="Factor of both sides.")] = 4.0,
    width: Annotated[int, typer.Option(help="Width to come to, instead of a factor.")] = 0,
    height: Annotated[int, typer.Option(help="Height to come to, instead of a factor.")] = 0,
    crop: Annotated[bool, typer.Option("--crop", help="Crop what sticks out of width and height.")] = False,
    second_upscaler: Annotated[
        str | None, typer.Option(help="Another one, whose result is mixed in.")
    ] = None,
    second_visibility: Annotated[float, typer.Option(help="Its share of the result, 0 to 1.")] = 0.5,
    face_restorer: Annotated[str | None, typer.Option(help="What mends faces.")] = None,
    face_visibility: Annotated[float, typer.Option(help="Its share of the result, 0 to 1.")] = 1.0,
    faces_last: Annotated[bool, typer.Option("--faces-last", help="Mend faces after enlarging.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(help="Where to save pictures; by default, general.output_folder.", metavar="DIR"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object for every picture.")] = False,
) -> None:
    """Enlarge pictures, and mend faces in them; each is saved anew with the text it had."""
    from sfumato.request import UpscaleRequest
    from sfumato.request.schema import checked

    options = dict(locals())
    given = {name: options[name] for name in UpscaleRequest.model_fields if name in options}
    request = checked(UpscaleRequest, given, "The pictures cannot be enlarged so.")
    result = _carried_out(studio, request, out and out.expanduser(), as_json=as_json)
    if result.skipped:
        raise typer.Exit(1)


def _carried_out(studio: Studio, request: Any, out: Path | None, *, as_json: bool) -> UpscaleResult:
    """Each picture is printed as soon as it is saved; Ctrl-C ends the work in two steps."""
    from sfumato.cli.generation import PicturePrinter, cancel_on_interrupt
    from sfumato.cli.output import only_data_on_stdout, say
    from sfumato.cli.progress import progress_display
    from sfumato.events import CancelToken, Event

    cancel = CancelToken()
    with progress_display() as progress, cancel_on_interrupt(cancel, say):
        printer = PicturePrinter(sys.stdout, as_json=as_json)

        def on_event(event: Event) -> None:
            printer(event)
            progress(event)

        with only_data_on_stdout():
            result: UpscaleResult = studio.run(
                "upscale", request, output_folder=out, on_event=on_event, cancel=cancel
            )
    return result


def list_upscalers(studio: Studio, as_json: AsJson = False) -> None:
    """List the upscalers and face restorers: names, labels, files."""
    from sfumato.cli.output import print_json, print_table
    from sfumato.upscaling import all_upscalers

    rows = [
        {
            "name": found.name,
            "label": found.label,
            "kind": f"upscaler of {found.entry.info.works_on}",
            "path": str(found.path or ""),
            "summary": found.entry.info.summary if found.path is None else "",
            "plugin": found.entry.plugin,
        }
        for found in all_upscalers(studio.registries, studio.library)
    ]
    rows += [
        {
            "name": entry.info.name,
            "label": entry.info.label,
            "kind": "face restorer",
            "path": "",
            "summary": entry.info.summary,
            "plugin": entry.plugin,
        }
        for entry in studio.registries.face_restorers
    ]
    if as_json:
        print_json(rows)
        return
    print_table(
        ("name", "label", "kind", "what it is"),
        [(row["name"], row["label"], row["kind"], row["summary"] or row["path"]) for row in rows],
    )
