"""`sfumato styles`: what styles there are; a new one; one less."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sfumato.cli.output import print_json, print_table, say
from sfumato.errors import BadInput
from sfumato_pictures.styles import Style, style_book

if TYPE_CHECKING:
    from sfumato.studio import Studio


class Action(StrEnum):
    """What to do with the styles."""

    LIST = "list"
    ADD = "add"
    REMOVE = "remove"


def styles(
    studio: Studio,
    action: Annotated[Action, typer.Argument(help="list, add (or change), remove.")] = Action.LIST,
    name: Annotated[str, typer.Argument(help="Name of the style to add or remove.")] = "",
    prompt: Annotated[
        str, typer.Option("--prompt", "-p", help="Its prompt; {prompt} stands for the user's.")
    ] = "",
    negative_prompt: Annotated[
        str, typer.Option("--negative-prompt", "-n", help="Its negative prompt.")
    ] = "",
    description: Annotated[str, typer.Option(help="A note on it.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List, add and remove styles: named pieces of prompts in A1111's styles.csv."""
    book = style_book(studio.settings.saving)
    if action is Action.LIST:
        _show(list(book), as_json)
        return
    if not name:
        raise BadInput("Which style?", hint=f"sfumato styles {action.value} NAME")
    if action is Action.REMOVE:
        done = book.remove(name)
    elif not (prompt or negative_prompt):
        raise BadInput("The style would be empty.", hint=f'sfumato styles add "{name}" --prompt TEXT')
    else:
        done = book.put(Style(name, prompt, negative_prompt, description))
    if as_json:
        print_json(_row(done))
    else:
        say(f"{'Removed' if action is Action.REMOVE else 'Kept'} '{name}' in {done.file}")


def _show(found: list[Style], as_json: bool) -> None:
    if as_json:
        print_json([_row(style) for style in found])
        return
    rows = [(style.name, style.prompt, style.negative_prompt, style.description) for style in found]
    print_table(("name", "prompt", "negative prompt", "description"), rows)


def _row(style: Style) -> dict[str, Any]:
    return {
        "name": style.name,
        "prompt": style.prompt,
        "negative_prompt": style.negative_prompt,
        "description": style.description,
        "file": str(style.file),
    }
