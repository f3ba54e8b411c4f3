"""`sfumato plugins`: which there are, what became of each, switching them off and on, writing new ones."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Annotated

import typer

from sfumato.cli import new_plugin
from sfumato.cli.output import print_facts, print_json, print_table, say
from sfumato.cli.session import Session

if TYPE_CHECKING:
    from sfumato.registries import Registries

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
PluginName = Annotated[str, typer.Argument(help="The plugin's name, as 'sfumato plugins' lists it.")]

DISABLED_KEY = "plugins.disabled"

group = typer.Typer(help="List, inspect, enable and disable plugins, write new ones.")


def add_to(app: typer.Typer) -> None:
    new_plugin.add_to(group)
    app.add_typer(group, name="plugins")


@group.callback(invoke_without_command=True)
def plugins(context: typer.Context, as_json: AsJson = False) -> None:
    """List, inspect, enable and disable plugins, write new ones."""
    if context.invoked_subcommand is None:
        list_plugins(context, as_json)


@group.command("list")
def list_plugins(context: typer.Context, as_json: AsJson = False) -> None:
    """List all plugins with version, state, hooks and load time."""
    session: Session = context.obj
    records = list(session.studio(lenient=True).plugins)
    if as_json:
        print_json([asdict(record) for record in records])
        return
    rows = [
        (
            record.name,
            record.version,
            record.distribution,
            record.state.value,
            ", ".join(record.hooks) or "-",
            f"{record.load_seconds * 1000:.0f} ms",
        )
        for record in records
    ]
    print_table(("name", "version", "distribution", "state", "hooks", "load time"), rows)


@group.command("show")
def show_plugin(context: typer.Context, name: PluginName, as_json: AsJson = False) -> None:
    """Tell all of one plugin; for a quarantined one also the traceback and a way forward."""
    session: Session = context.obj
    studio = session.studio(lenient=True)
    record = studio.plugins.get(name)
    brought = _contributions(studio.registries, name)
    if as_json:
        print_json({**asdict(record), "contributions": brought})
        return
    print_facts(
        [
            ("name", record.name),
            ("state", record.state.value),
            ("distribution", f"{record.distribution} {record.version}".strip()),
            ("module", record.module),
            ("load time", f"{record.load_seconds * 1000:.0f} ms"),
            ("hooks", "\n".join(record.hooks)),
            *((kind, ", ".join(names)) for kind, names in brought.items()),
            ("replaces", "\n".join(record.replaces)),
            ("failed at", record.stage),
            ("problem", record.problem),
            ("traceback", record.traceback.rstrip()),
            ("what to do", record.advice),
        ]
    )


@group.command("enable")
def enable_plugin(context: typer.Context, name: PluginName) -> None:
    """Load a plugin again from the next start on."""
    _switch(context.obj, name, enabled=True)


@group.command("disable")
def disable_plugin(context: typer.Context, name: PluginName) -> None:
    """Do not load a plugin from the next start on."""
    _switch(context.obj, name, enabled=False)


def _switch(session: Session, name: str, *, enabled: bool) -> None:
    settings = session.studio(lenient=True).settings
    disabled = set(settings.in_file(DISABLED_KEY))
    if not (enabled and name in disabled):  # a plugin that is no longer installed can still be enabled
        session.studio(lenient=True).plugins.get(name)
    disabled = disabled - {name} if enabled else disabled | {name}
    changed = settings.write(DISABLED_KEY, json.dumps(sorted(disabled)))
    say(f"Plugin '{name}' is {'enabled' if enabled else 'disabled'} in {settings.file}.")
    if (name in changed.plugins.disabled) is enabled:
        say(f"But {changed.where(DISABLED_KEY)} says otherwise, and wins.")


def _contributions(registries: Registries, plugin: str) -> dict[str, list[str]]:
    """The names that a plugin registered, by what they name."""
    brought = {
        field.name.replace("_", " "): [
            entry.info.name for entry in getattr(registries, field.name) if entry.plugin == plugin
        ]
        for field in fields(registries)
    }
    return {kind: names for kind, names in brought.items() if names}
