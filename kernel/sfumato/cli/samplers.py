"""`sfumato samplers` and `sfumato schedulers`: what the names mean and what can be tuned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from sfumato.cli.output import print_json, print_table
from sfumato.cli.session import Session

if TYPE_CHECKING:
    from sfumato.registry import Entry
    from sfumato.sampling import Option, SamplerInfo, SchedulerInfo

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def add_to(app: typer.Typer) -> None:
    app.command("samplers")(list_samplers)
    app.command("schedulers")(list_schedulers)


def list_samplers(context: typer.Context, as_json: AsJson = False) -> None:
    """List the samplers: names, order, cost, options."""
    session: Session = context.obj
    entries = list(session.studio().registries.samplers)
    if as_json:
        print_json([_with_origin(entry) for entry in entries])
        return
    infos = [entry.info for entry in entries]
    rows = [
        (
            info.name,
            info.label,
            ", ".join(info.aliases),
            str(info.order),
            str(info.evaluations_per_step),
            "yes" if info.stochastic else "no",
            info.preferred_scheduler or "-",
            _options(info.options),
        )
        for info in infos
    ]
    print_table(
        ("name", "label", "aliases", "order", "evaluations", "stochastic", "scheduler", "options"), rows
    )


def list_schedulers(context: typer.Context, as_json: AsJson = False) -> None:
    """List the schedulers: names and options."""
    session: Session = context.obj
    entries = list(session.studio().registries.schedulers)
    if as_json:
        print_json([_with_origin(entry) for entry in entries])
        return
    infos = [entry.info for entry in entries]
    rows = [(info.name, info.label, ", ".join(info.aliases), _options(info.options)) for info in infos]
    print_table(("name", "label", "aliases", "options"), rows)


def _with_origin(entry: Entry[SamplerInfo] | Entry[SchedulerInfo]) -> dict[str, Any]:
    """The description, which plugin it comes from, and the plugin whose entry it stands in for."""
    return {**entry.info.model_dump(mode="json"), "plugin": entry.plugin, "replaces": entry.replaces}


def _options(options: tuple[Option, ...]) -> str:
    """Each option with its default: "eta=1.0, s_noise=1.0"."""
    return ", ".join(f"{option.name}={option.default}" for option in options) or "-"
