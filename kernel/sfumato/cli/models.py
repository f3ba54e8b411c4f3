"""`sfumato models`: the models that exist, what is in each, and what an unknown file is."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sfumato.cli.output import (
    human_size,
    only_data_on_stdout,
    print_facts,
    print_json,
    print_table,
    report_error,
    say,
)
from sfumato.cli.session import Session
from sfumato.errors import CheckpointError

if TYPE_CHECKING:
    from sfumato.models import CheckpointHeader, ModelInfo

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

group = typer.Typer(help="List models, show one, tell what a file is.")


def add_to(app: typer.Typer) -> None:
    app.add_typer(group, name="models")


@group.callback(invoke_without_command=True)
def models(context: typer.Context, as_json: AsJson = False) -> None:
    """List models, show one, tell what a file is."""
    if context.invoked_subcommand is None:
        list_models(context, as_json)


@group.command("list")
def list_models(context: typer.Context, as_json: AsJson = False) -> None:
    """List the models of plugins and of the model folders."""
    session: Session = context.obj
    library = session.studio().library
    with only_data_on_stdout():
        found = library.models()
    if as_json:
        problems = [{"path": str(path), "message": str(error)} for path, error in library.problems.items()]
        print_json({"models": found, "problems": problems})
        return
    rows = [(m.name, m.family, m.variant or "-", human_size(m.size_bytes), str(m.path)) for m in found]
    print_table(("name", "family", "variant", "size", "path"), rows)
    if not found:
        say("No model was found: install sfumato-model-emoji, or put a checkpoint into a model folder:")
        say("\n".join(str(root / "checkpoints") for root in library.roots))
    for path, error in library.problems.items():
        say(f"Left out: {path}: {error}")


@group.command("show")
def show_model(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(help="Name or path; by default the default model.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show a model's parts, sizes and defaults."""
    session: Session = context.obj
    library = session.studio().library
    with only_data_on_stdout():
        info = library.find(name)
    if as_json:
        print_json(info)
    else:
        print_facts(_facts(info))


@group.command("detect")
def detect_model(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="A weights file or a model folder.")],
    as_json: AsJson = False,
) -> None:
    """Tell what a file is, from its tensors' names and shapes alone."""
    session: Session = context.obj
    library = session.studio().library
    info, problem = None, None
    with only_data_on_stdout():
        header = library.header(file)
        try:
            info = library.detect(file)
        except CheckpointError as error:
            problem = error
    if as_json:
        print_json({**_contents(header), "model": info, "problem": str(problem) if problem else None})
    else:
        print_facts([*_header_facts(header), *(_facts(info)[1:] if info else [])])
    if problem is not None:
        report_error(problem)
        raise typer.Exit(problem.exit_code)


def _contents(header: CheckpointHeader) -> dict[str, Any]:
    sizes: Counter[str] = Counter()
    for tensor in header.tensors.values():
        sizes[tensor.dtype] += tensor.size_bytes
    return {
        "path": str(header.path),
        "format": header.format,
        "layout": header.layout,
        "tensors": len(header.tensors),
        "bytes_by_dtype": dict(sizes.most_common()),
        "metadata": dict(header.metadata),
    }


def _header_facts(header: CheckpointHeader) -> list[tuple[str, str]]:
    contents = _contents(header)
    sizes = ", ".join(f"{human_size(size)} {dtype}" for dtype, size in contents["bytes_by_dtype"].items())
    return [("file", str(header.path)), ("tensors", f"{contents['tensors']} ({sizes})" if sizes else "none")]


def _facts(info: ModelInfo) -> list[tuple[str, str]]:
    defaults = ", ".join(
        f"{name}={value}" for name, value in info.defaults.model_dump().items() if value != {}
    )
    parts = [
        f"{part.kind}: {part.parameters / 1e6:.1f} M parameters, {part.dtype}, {human_size(part.size_bytes)}"
        for part in info.parts
    ]
    return [
        ("path", str(info.path)),
        ("name", info.name),
        ("label", info.label),
        ("family", info.family),
        ("variant", info.variant),
        ("layout", f"{info.layout}, {info.format}"),
        ("prediction", info.prediction),
        ("parts", "\n".join(parts)),
        ("beside it", ", ".join(info.missing_parts)),
        ("sizes", "\n".join(f"{name} = {value}" for name, value in info.sizes.items())),
        ("defaults", defaults),
        ("options", ", ".join(f"{name}={value}" for name, value in info.options.items())),
        ("metadata", "\n".join(f"{name} = {value:.100}" for name, value in info.metadata.items())),
    ]
