"""Commands that plugins bring, as those of the command line itself."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup

from sfumato.cli.output import only_data_on_stdout
from sfumato.registry import Entry

if TYPE_CHECKING:
    from sfumato.commands import CommandInfo
    from sfumato.studio import Studio


def names(studio: Studio) -> list[str]:
    """The words that call them: a command's own, or that of the group that it is in."""
    return list(dict.fromkeys(_first_word(entry.info) for entry in studio.registries.commands))


def add_to(app: typer.Typer, studio: Studio) -> None:
    """Add all of them, as documentation needs it."""
    for name in names(studio):
        members = _members(studio, name)
        if not members:
            app.command(name)(command_function(studio.registries.commands.get(name)))
            continue
        group = _group_app(name, members)
        for word, entry in members.items():
            group.command(word)(command_function(entry))
        app.add_typer(group)


def stand_in(studio: Studio, name: str) -> Any:
    """What lists one of them in the main help, which imports none; None where there is none of that name."""
    members, commands = _members(studio, name), studio.registries.commands
    if members:
        return _group(name, members)
    entry = commands.get(name) if name in commands else None
    return None if entry is None or entry.info.group else _stand_in(entry)


def build_command(studio: Studio, name: str) -> Any:
    """One of them, imported now; of a group, each when it is called.

    Raises:
        PluginError: it cannot be imported, or is no command.
    """
    members = _members(studio, name)
    return _group(name, members) if members else _built(studio.registries.commands.get(name))


class _CommandGroup(TyperGroup):
    """Commands of plugins that begin with the same word.

    Attributes:
        members: By the second word.
    """

    members: Mapping[str, Entry[CommandInfo]]

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        name, _, rest = super().resolve_command(ctx, args)
        return name, _built(self.members[str(name)]), rest


def _first_word(info: CommandInfo) -> str:
    return info.group or info.name


def _members(studio: Studio, group: str) -> dict[str, Entry[CommandInfo]]:
    entries = [entry for entry in studio.registries.commands if entry.info.group == group]
    return {entry.info.name.removeprefix(f"{group}_").replace("_", "-"): entry for entry in entries}


def _group(name: str, members: Mapping[str, Entry[CommandInfo]]) -> _CommandGroup:
    app = _group_app(name, members)
    for word, entry in members.items():
        app.command(word, help=_summary(entry))(lambda: None)
    group = typer.main.get_command(app)
    assert isinstance(group, _CommandGroup)
    group.members = members
    return group


def _group_app(name: str, members: Mapping[str, Entry[CommandInfo]]) -> typer.Typer:
    app = typer.Typer(
        name=name,
        cls=_CommandGroup,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        help=" ".join(_summary(entry) for entry in members.values()),
    )
    app.callback()(lambda: None)  # one command alone is a group, too
    return app


def _stand_in(entry: Entry[CommandInfo]) -> Any:
    return _single(entry, lambda: None, help=_summary(entry))


def _built(entry: Entry[CommandInfo]) -> Any:
    return _single(entry, command_function(entry))


def _summary(entry: Entry[CommandInfo]) -> str:
    return entry.info.summary or entry.info.label


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
