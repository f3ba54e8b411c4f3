"""`sfumato settings`: read, change and trace settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from sfumato.cli.output import print_json, print_table, printable, report_error, say
from sfumato.cli.session import Session

if TYPE_CHECKING:
    from sfumato.settings import Settings

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Key = Annotated[str, typer.Argument(help="section.name, such as engine.device.")]

group = typer.Typer(help="Read, change and trace settings.")


def add_to(app: typer.Typer) -> None:
    app.add_typer(group, name="settings")


@group.callback(invoke_without_command=True)
def settings(context: typer.Context, as_json: AsJson = False) -> None:
    """Read, change and trace settings."""
    if context.invoked_subcommand is None:
        list_settings(context, as_json)


@group.command("list")
def list_settings(context: typer.Context, as_json: AsJson = False) -> None:
    """List every setting in force and where its value comes from."""
    from sfumato.settings import as_text

    in_force = _settings(context)
    keys = list(in_force.keys())
    if as_json:
        print_json([_described(in_force, key) for key in keys])
    else:
        rows = [(key, as_text(in_force.get(key)), str(in_force.where(key))) for key in keys]
        print_table(("key", "value", "from"), rows)
    _end_with_problems(in_force)


@group.command("get")
def get_setting(context: typer.Context, key: Key, as_json: AsJson = False) -> None:
    """Print the value of a setting."""
    from sfumato.settings import as_text

    in_force = _settings(context)
    if as_json:
        print_json(_described(in_force, key))
    else:
        print(printable(as_text(in_force.get(key))))
    _end_with_problems(in_force)


@group.command("set")
def set_setting(
    context: typer.Context, key: Key, value: Annotated[str, typer.Argument(help="The value.")]
) -> None:
    """Store a setting in the settings file, once it is checked."""
    before = _settings(context)
    after = before.write(key, value)
    say(f"{key} is stored in {after.file}.")
    if after.where(key).source != "file":
        say(f"But {after.where(key)} says otherwise, and wins.")


@group.command("unset")
def unset_setting(context: typer.Context, key: Key) -> None:
    """Take a setting out of the settings file, so that its default holds again."""
    before = _settings(context)
    before.unset(key)
    say(f"{key} is no longer in {before.file}.")


@group.command("where")
def where_setting(
    context: typer.Context,
    key: Annotated[
        str | None, typer.Argument(help="section.name; without it, the settings file is told.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Tell where the value of a setting comes from, or where the settings file is."""
    in_force = _settings(context)
    if as_json:
        print_json({"file": str(in_force.file)} if key is None else _described(in_force, key))
    else:
        print(printable(str(in_force.file if key is None else in_force.where(key))))
    _end_with_problems(in_force)


def _settings(context: typer.Context) -> Settings:
    session: Session = context.obj
    return session.studio(lenient=True).settings


def _end_with_problems(in_force: Settings) -> None:
    """What was printed holds, but part of it is defaults in place of what cannot be read: not a success."""
    for problem in in_force.problems:
        report_error(problem)
    if in_force.problems:
        raise typer.Exit(in_force.problems[0].exit_code)


def _described(in_force: Settings, key: str) -> dict[str, Any]:
    from sfumato.settings import allowed

    field, origin = in_force.field(key), in_force.where(key)
    return {
        "key": key,
        "value": in_force.get(key),
        "source": origin.source,
        "detail": origin.detail,
        "description": field.description,
        "allowed": allowed(field),
        "default": field.get_default(call_default_factory=True),
    }
