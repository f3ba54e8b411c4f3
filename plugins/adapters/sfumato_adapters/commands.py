"""``sfumato loras``: the LoRAs that there are, what one holds, and how far it fits a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from sfumato.adapters import MatchReport
from sfumato.cli.output import human_size, only_data_on_stdout, print_facts, print_json, print_table, say
from sfumato.errors import BadInput, CheckpointError
from sfumato.models import Placement
from sfumato_adapters.describe import AdapterDescription, describe
from sfumato_adapters.files import FOLDER, LoraFiles

if TYPE_CHECKING:
    from sfumato.studio import Studio

_SHOWN = 10


def loras(
    studio: Studio,
    action: Annotated[Literal["list", "show"], typer.Argument(help="What to do.")] = "list",
    file: Annotated[str | None, typer.Argument(help="A LoRA's name or path, to be shown.")] = None,
    model: Annotated[
        str | None, typer.Option(help="Tell how far it fits this model too; the model is loaded for it.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the LoRAs in the model folders, or show one: 'sfumato loras show NAME'."""
    if action == "show":
        _show(studio, file, model, as_json)
    elif file is None and model is None:
        _list(studio, as_json)
    else:
        raise BadInput("All LoRAs are listed.", hint=f"To see one: sfumato loras show {file or 'NAME'}")


def _list(studio: Studio, as_json: bool) -> None:
    found: list[AdapterDescription] = []
    problems: dict[Path, CheckpointError] = {}
    with only_data_on_stdout():
        for path in studio.library.files(FOLDER):
            try:
                found.append(describe(studio.library.header(path)))
            except CheckpointError as error:
                problems[path] = error
    if as_json:
        told = [{"path": str(path), "message": str(error)} for path, error in problems.items()]
        print_json({"loras": found, "problems": told})
        return
    rows = [
        (one.path.stem, _in_words(one), one.made_for or "-", _ranks(one) or "-", str(one.path))
        for one in found
    ]
    print_table(("name", "kinds", "made for", "ranks", "path"), rows)
    if not found:
        say("No LoRA was found: put some into a model folder:")
        say("\n".join(str(root / FOLDER) for root in studio.library.roots))
    for path, problem in problems.items():
        say(f"Left out: {path}: {problem}")


def _show(studio: Studio, file: str | None, model: str | None, as_json: bool) -> None:
    if file is None:
        raise BadInput("Which LoRA?", hint="Name it: sfumato loras show NAME. 'sfumato loras' lists them.")
    with only_data_on_stdout():
        path = Path(file) if Path(file).is_file() else LoraFiles().find([file], studio.library)[file].path
        description = describe(studio.library.header(path))
        report = _match(studio, path, model) if model is not None else None
    if as_json:
        print_json({"lora": description, "size_bytes": path.stat().st_size, "match": report})
        return
    print_facts([*_facts(description, path), *(_match_facts(report) if report else [])])


def _match(studio: Studio, path: Path, model: str) -> MatchReport:
    """How far the file fits a model; raises `CheckpointError` where it does not fit at all."""
    from sfumato_adapters.reading import read_adapter

    info = studio.library.find(model)
    family = studio.registries.model_families.get(info.family).load()()
    loaded = family.load(info, studio.library, Placement())
    tensors, metadata = studio.library.open_tensors(path), studio.library.header(path).metadata
    return read_adapter(path, tensors, metadata, loaded).report


def _facts(one: AdapterDescription, path: Path) -> list[tuple[str, str]]:
    tags = [f"{tag} ({count})" for tag, count in one.tags.items()]
    return [
        ("path", str(path)),
        ("size", human_size(path.stat().st_size)),
        ("title", one.title),
        ("made for", one.made_for),
        ("trained on", one.base_model),
        ("kinds", _in_words(one)),
        ("named as by", one.layout),
        ("ranks", _ranks(one)),
        ("layers", ", ".join(f"{count} {part}" for part, count in one.layers.items())),
        ("tensors", str(one.tensors)),
        ("not known", _listed(one.unknown)),
        ("trigger words", ", ".join(one.trigger_words)),
        ("tags", ", ".join(tags[:_SHOWN]) + (" ..." if len(tags) > _SHOWN else "")),
        *((name, f"{text:.200}") for name, text in one.about.items()),
    ]


def _match_facts(report: MatchReport) -> list[tuple[str, str]]:
    used = report.keys - len(report.unknown) - len(report.unmatched)
    return [
        ("fits", f"{used} of {report.keys} tensors"),
        ("changes", ", ".join(f"{count} layers of {part}" for part, count in report.layers.items())),
        ("no layer for", _listed(report.unmatched)),
    ]


def _in_words(one: AdapterDescription) -> str:
    return ", ".join(one.kinds) or "none known"


def _ranks(one: AdapterDescription) -> str:
    return ", ".join(str(rank) for rank in one.ranks)


def _listed(names: tuple[str, ...]) -> str:
    more = f"\nand {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return "\n".join(names[:_SHOWN]) + more
