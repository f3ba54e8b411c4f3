"""The command line as data: every command of `sfumato` with its arguments and options."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, get_args

import typer.main

from sfumato.cli.app import build_app
from sfumato.studio import Studio


@dataclass(frozen=True)
class Parameter:
    """An argument or option as its command declares it."""

    names: tuple[str, ...]
    is_argument: bool
    required: bool
    repeatable: bool
    takes_value: bool
    metavar: str
    default: str
    help: str


@dataclass(frozen=True)
class Command:
    """One command; a group has commands of its own."""

    path: tuple[str, ...]
    help: str
    parameters: tuple[Parameter, ...]
    commands: tuple[Command, ...]

    def walk(self) -> Iterator[Command]:
        """This command and all below it."""
        yield self
        for command in self.commands:
            yield from command.walk()

    def find(self, name: str) -> Command | None:
        return next((command for command in self.commands if command.path[-1] == name), None)


def command_tree(studio: Studio) -> Command:
    """The whole command line as this studio's plugins make it."""
    return _command(typer.main.get_command(build_app(studio)), ("sfumato",))


def _command(command: Any, path: tuple[str, ...]) -> Command:
    children = getattr(command, "commands", {}).items()
    shown = [parameter for parameter in command.params if not getattr(parameter, "hidden", False)]
    return Command(
        path=path,
        help=" ".join((command.help or "").split("\f")[0].split()),
        parameters=tuple(_parameter(parameter) for parameter in shown),
        commands=tuple(_command(child, (*path, name)) for name, child in children if not child.hidden),
    )


def _parameter(parameter: Any) -> Parameter:
    is_argument = parameter.param_type_name == "argument"
    names = (*parameter.opts, *parameter.secondary_opts)
    default = "" if callable(parameter.default) else parameter.default
    return Parameter(
        names=((parameter.metavar or parameter.name.upper()).strip("[]"),) if is_argument else names,
        is_argument=is_argument,
        required=parameter.required,
        repeatable=parameter.multiple if not is_argument else parameter.nargs == -1,
        takes_value=is_argument or not (parameter.is_flag or parameter.count),
        metavar=_metavar(parameter),
        default="" if default in (None, False, (), []) else str(default),
        help=" ".join((parameter.help or "").split()),
    )


def _metavar(parameter: Any) -> str:
    """What stands for the value: the choices where there are some."""
    kind = parameter.type_descriptor.annotation
    choices = list(kind) if isinstance(kind, type) and issubclass(kind, StrEnum) else get_args(kind)
    texts = [choice for choice in choices if isinstance(choice, str)]
    return "|".join(texts) or (parameter.metavar or parameter.name.upper()).strip("[]")
