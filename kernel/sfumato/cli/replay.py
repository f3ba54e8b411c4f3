"""`sfumato replay` and `sfumato verify`: pictures drawn again from what they remember."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sfumato.cli.session import Session

if TYPE_CHECKING:
    from sfumato.request import GenerationRequest

AsJson = Annotated[bool, typer.Option("--json", help="Print a JSON object for every picture.")]


def add_to(app: typer.Typer) -> None:
    app.command("replay")(replay)
    app.command("verify")(verify)


def replay(
    context: typer.Context,
    pictures: Annotated[list[Path], typer.Argument(help="Pictures that remember how they were made.")],
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="Change a request field, such as steps=30 or sampler_options.eta=0.5.",
            metavar="NAME=VALUE",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Where to save pictures; by default, general.output_folder.", metavar="DIR"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Draw pictures again, the same or changed, and tell what differs."""
    from sfumato.cli.replaying import replay_all

    session: Session = context.obj
    chosen = chosen_changes(changes or [])
    folder = out and out.expanduser()
    code = replay_all(session.studio(), pictures, chosen, output_folder=folder, as_json=as_json)
    raise typer.Exit(code)


def verify(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="A folder of pictures.")],
    recursive: Annotated[bool, typer.Option("--recursive", help="Look into its folders too.")] = False,
    keep: Annotated[
        Path | None,
        typer.Option(help="Keep the new pictures here; they are thrown away otherwise.", metavar="DIR"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Draw every picture of a folder again and tell which come out the same.

    Ends with 0 only when all do, up to rounding (one level of 255).
    """
    from sfumato.cli.verifying import verify_folder

    session: Session = context.obj
    raise typer.Exit(
        verify_folder(
            session.studio(),
            folder.expanduser(),
            recursive=recursive,
            keep=keep and keep.expanduser(),
            as_json=as_json,
        )
    )


def chosen_changes(pairs: list[str]) -> dict[str, Any]:
    """The ``--set`` options; a value is text where the field holds text, else JSON where it is that.

    Raises:
        BadInput: one is not NAME=VALUE.
        UnknownName: there is no such request field.
    """
    from sfumato.errors import BadInput, UnknownName
    from sfumato.request import GenerationRequest
    from sfumato.settings_sources import parse_json

    chosen: dict[str, Any] = {}
    for pair in pairs:
        name, separator, text = pair.partition("=")
        if not separator or not name.strip():
            raise BadInput(f"'{pair}' is not a field with a value.", hint="Write --set steps=30")
        field, dot, _ = name.strip().partition(".")
        if field not in GenerationRequest.model_fields:
            raise UnknownName("request field", field, GenerationRequest.model_fields)
        chosen[name.strip()] = text if not dot and _holds_text(GenerationRequest, field) else parse_json(text)
    return chosen


def _holds_text(request: type[GenerationRequest], field: str) -> bool:
    """Whether a field takes text as it is: a prompt "123" is no number."""
    return request.model_fields[field].annotation in (str, str | None)
