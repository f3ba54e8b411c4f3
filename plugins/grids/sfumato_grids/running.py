"""What the commands for grids share: a request made of their options, and carrying it out."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sfumato.errors import BadInput
from sfumato.request import GridRequest
from sfumato.request.schema import checked
from sfumato_grids.fields import find_field, put
from sfumato_grids.values import split_values

if TYPE_CHECKING:
    from sfumato.studio import Studio
    from sfumato_grids.records import GridResult

EXAMPLE = "--x 'steps: 10, 20, 30'"


def grid_request(
    prompt: str | None,
    source: Path | None,
    sets: list[str],
    *,
    axes: Mapping[str, Any] | None = None,
    base: Mapping[str, Any] | None = None,
    hint: str = "",
    **parts: Any,
) -> GridRequest:
    """The request that options make, over the one in a file.

    Args:
        base: Sections that the base request needs to be complete.
        hint: What to do where there is no such grid.
        parts: Fields of `GridRequest`; None leaves those of the file.

    Raises:
        BadInput: a field or value cannot be, or there is nothing to vary.
    """
    whole = _from_file(source) if source else {}
    values: dict[str, Any] = whole.setdefault("base", {})
    for section, given in (base or {}).items():
        values[section] = {**given, **(values.get(section) or {})}
    if prompt is not None:
        values["prompt"] = prompt
    for text in sets:
        _set(values, text)
    whole |= {name: axis for name, axis in (axes or {}).items() if axis is not None}
    whole |= {name: value for name, value in parts.items() if value is not None}
    return checked(GridRequest, whole, "The grid cannot be drawn so.", hint)


def read_axes(texts: Mapping[str, str | None], vary_seeds: str = "") -> dict[str, Any]:
    """Axes from texts such as 'steps: 10, 20'.

    Raises:
        BadInput: one has no colon, or a quote that does not end, or seeds vary along none of them.
    """
    unknown = set(vary_seeds.lower()) - set("xyz")
    if unknown:
        raise BadInput(
            f"There is no axis '{min(unknown)}' to vary seeds along.", hint="Write --vary-seeds xy"
        )
    axes: dict[str, Any] = {}
    for name, text in texts.items():
        if text is None:
            continue
        field, colon, values = text.partition(":")
        if not colon and field.strip().lower() != "nothing":
            raise BadInput(f"'{text}' is no axis.", hint=f"Write field and values: {EXAMPLE}")
        try:
            split = split_values(values)
        except ValueError as error:
            raise BadInput(f"The values of '{field}' cannot be read.", why=f"{error}.") from error
        axes[name] = {"field": field.strip(), "values": split, "vary_seed": name in vary_seeds.lower()}
    return axes


def folder_parts(path: Path, masks: Path | None, **options: Any) -> dict[str, Any]:
    """The parts of a request that draws a folder's pictures; it stands for each of them in the base."""
    base: dict[str, Any] = {"img2img": {"image": path}}
    if masks:
        base["inpaint"] = {"mask": masks}
    return {"pictures": {"folder": path, "masks": masks, **options}, "base": base}


def refuse_options_of_folders(**given: Any) -> None:
    """Raises `BadInput` where one of them is given beside a file of prompts."""
    for name, value in given.items():
        if value:
            raise BadInput(f"--{name} is for folders of pictures.", hint="Leave it out, or name a folder.")


def _from_file(path: Path) -> dict[str, Any]:
    """A grid in JSON, or the base of one."""
    try:
        found = json.loads(path.expanduser().read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise BadInput(f"'{path}' cannot be read.", why=f"{error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise BadInput(f"'{path.name}' is not JSON.", why=f"{error}.") from error
    if not isinstance(found, dict):
        raise BadInput(f"'{path.name}' is no request.", hint='It may be as short as {"prompt": "a cat"}.')
    return found if isinstance(found.get("base"), dict) else {"base": found}


def _set(values: dict[str, Any], text: str) -> None:
    name, equals, value = text.partition("=")
    if not equals:
        raise BadInput(f"'{text}' is not a field with a value.", hint="Write --set steps=20")
    field = find_field(name)
    try:
        put(values, field.path, field.value(value))
    except ValueError as error:
        raise BadInput(f"The field '{name.strip()}' cannot be '{value}'.", why=f"{error}.") from error


def carried_out(studio: Studio, request: GridRequest, out: Path | None, *, as_json: bool) -> GridResult:
    """Draw a grid: each picture is printed as soon as it is saved; Ctrl-C ends the work in two steps.

    Raises:
        Cancelled: stopped by the user.
        typer.Exit: some cells could not be drawn; they were told.
    """
    import typer

    from sfumato.cli.generation import PicturePrinter, cancel_on_interrupt
    from sfumato.cli.output import only_data_on_stdout, say
    from sfumato.cli.progress import progress_display, time_left
    from sfumato.errors import Cancelled
    from sfumato.events import CancelToken, Event
    from sfumato_grids.records import GridProgress

    cancel = CancelToken()
    with progress_display() as progress, cancel_on_interrupt(cancel, say):
        printer = PicturePrinter(sys.stdout, as_json=as_json)

        def on_event(event: Event) -> None:
            if isinstance(event, GridProgress):
                left = f" ({time_left(event.seconds_left)} left)" if event.seconds_left is not None else ""
                progress.subject = f"{event.detail}{left}"
            printer(event)
            progress(event)

        try:
            with only_data_on_stdout():
                result: GridResult = studio.run(
                    "grid", request, output_folder=out and out.expanduser(), on_event=on_event, cancel=cancel
                )
        except Cancelled as cancelled:
            hint = f"{printer.count} pictures were drawn and kept; the same command goes on there."
            raise Cancelled("Cancelled.", hint=hint) from cancelled
    if result.failed:
        say(f"{len(result.failed)} of {len(result.cells)} cells could not be drawn.")
        raise typer.Exit(1)
    return result
