"""Commands that plugins bring, as those of the command line itself."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import typer

from sfumato.cli.output import only_data_on_stdout
from sfumato.commands import CommandInfo
from sfumato.registry import Entry

if TYPE_CHECKING:
    from sfumato.studio import Studio


def add_to(app: typer.Typer, studio: Studio) -> None:
    """Add all of them, as documentation needs it."""
    for entry in studio.registries.commands:
        app.command(entry.info.name)(command_function(entry))


def build_command(entry: Entry[CommandInfo]) -> Any:
    """One of them, imported now."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command(entry.info.name)(command_function(entry))
    return typer.main.get_command(app)


def command_function(entry: Entry[CommandInfo]) -> Callable[..., Any]:
    """The plugin's function, its first parameter filled with the studio of the run."""
    with only_data_on_stdout():
        target = entry.load()

    @functools.wraps(target)
    def command(context: typer.Context, **options: Any) -> Any:
        return target(context.obj.studio(), **options)

    signature = inspect.signature(target, eval_str=True)
    context = inspect.Parameter("context", inspect.Parameter.POSITIONAL_ONLY, annotation=typer.Context)
    own = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in signature.parameters.values()
    ]
    command.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[context.replace(kind=inspect.Parameter.POSITIONAL_OR_KEYWORD), *own[1:]]
    )
    command.__annotations__ = {"context": typer.Context} | {p.name: p.annotation for p in own[1:]}
    del command.__wrapped__  # type: ignore[attr-defined]  # typer would look through to the plugin's
    return command
