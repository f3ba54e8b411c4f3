"""`sfumato plugins new`: a package to begin a plugin with."""

from __future__ import annotations

import os
import shlex
from importlib.metadata import Distribution
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sfumato.cli.output import printable
from sfumato.cli.session import Session
from sfumato.errors import BadInput
from sfumato.scaffold.names import PluginName
from sfumato.scaffold.package import HOOKS, Kind, write_package

if TYPE_CHECKING:
    from sfumato.studio import Studio

Name = Annotated[str, typer.Argument(help="What it is called, such as 'film-grain'.")]
KindOption = Annotated[Kind, typer.Option(help="What the plugin brings.")]
Out = Annotated[Path, typer.Option(help="Where the package's folder is made.", metavar="DIR")]


def add_to(group: typer.Typer) -> None:
    group.command("new")(new_plugin)


def new_plugin(context: typer.Context, name: Name, kind: KindOption, out: Out = Path()) -> None:
    """Write a new plugin package: complete, tested and installable, as a beginning to change."""
    session: Session = context.obj
    plugin = PluginName.parse(name)
    _check_free(session.studio(lenient=True), plugin, kind)
    folder = write_package(plugin, kind, out)
    print(f"Wrote '{printable(str(folder))}'. Next:\n")
    print(f"  pip install -e {_quoted(f'{folder}[test]')}")
    print(f"  pytest {_quoted(str(folder))}")


def _quoted(path: str) -> str:
    """As one word of a command, for the shell that people have here."""
    if os.name == "nt":
        return f'"{printable(path)}"'
    return shlex.quote(printable(path))


def _check_free(studio: Studio, plugin: PluginName, kind: Kind) -> None:
    """Raises `BadInput` when an installed plugin, or a thing of that kind, has the name already."""
    registry = studio.registries.for_hook(HOOKS[kind])
    taken = ""
    if any(Distribution.discover(name=plugin.distribution)):
        taken = f"A distribution named '{plugin.distribution}' is installed already."
    elif plugin.text in {record.name for record in studio.plugins}:
        taken = f"There is a plugin named '{plugin.text}' already."
    elif registry is not None and plugin.text in registry:
        owner = registry.get(plugin.text).plugin
        taken = f"Plugin '{owner}' already registered a {registry.kind} named '{plugin.text}'."
    if taken:
        raise BadInput(taken, why="Two of one name cannot be used together.", hint="Choose another name.")
