"""Commands that plugins bring, as those of the command line itself."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import typer

from sfumato.cli.output import only_data_on_stdout
from sfumato.registry import Entry

if TYPE_CHECKING:
    from sfumato.commands import CommandInfo
    from sfumato.studio import Studio


def add_to(app: typer.Typer, studio: Studio) -> None:
    """Add all of them, as documentation needs it."""
    for entry in studio.registries.commands:
        app.command(entry.info.name)(command_function(entry))


def stand_in(entry: Entry[CommandInfo]) -> Any:
    """What lists one of them in the main help, which imports none."""
    return _single(entry, lambda: None, help=entry.info.summary or entry.info.label)


def build_command(entry: Entry[CommandInfo]) -> Any:
    """One of them, imported now. Raises `PluginError` when it cannot be."""
    return _single(entry, command_function(entry))


def _single(entry: Entry[CommandInfo], function: Callable[..., Any], **about: Any) -> Any:
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command(entry.info.name, **about)(function)
    return typer.main.get_command(app)


def command_function(entry: Entry[CommandInfo]) -> Callable[..., Any]:
    """The plugin's function, its first parameter filled with the studio of the run."""
    with only_data_on_stdout():
        target = entry.load()

    @functools.wraps(target)
    def command(context: typer.Context, **options: Any) -> Any:
        return target(context.obj.studio(), **options)

    with entry.answerable("be a command"):
        own = _options(target)
    context = inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    command.__signature__ = inspect.Signature([context, *own])  # type: ignore[attr-defined]
    command.__annotations__ = {"context": typer.Context} | {p.name: p.annotation for p in own}
    del command.__wrapped__  # typer would look through to the plugin's
    return command


def _options(target: Callable[..., Any]) -> list[inspect.Parameter]:
    """All parameters but the studio, whose type a plugin may import for type checks alone."""
    names = getattr(inspect.unwrap(target), "__globals__", {})
    _, *own = inspect.signature(target).parameters.values()
    return [
        parameter.replace(
            kind=inspect.Parameter.KEYWORD_ONLY,
            annotation=eval(parameter.annotation, names)  # written in the plugin's own code
            if isinstance(parameter.annotation, str)
            else parameter.annotation,
        )
        for parameter in own
    ]
