"""Prompts from a file: a prompt a line, A1111's options a line, or requests in JSON."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

from sfumato.errors import BadInput, UnknownName
from sfumato.request import GridRequest, PromptList
from sfumato_grids.fields import find_field, put
from sfumato_grids.plan import Draft, Plan, check_count, checked_cells, given_values
from sfumato_grids.seeds import SeedSource
from sfumato_pictures.sheet import rows_for

SCRIPT = "Prompts from file or textbox"
LARGEST_FILE = 20_000_000
"""In bytes."""

A1111_OPTIONS: Mapping[str, str] = {
    "sd_model": "model",
    "subseed": "variation_seed",
    "subseed_strength": "variation_strength",
    "seed_resize_from_w": "seed_resize_width",
    "seed_resize_from_h": "seed_resize_height",
    "sampler_name": "sampler",
    "n_iter": "count",
}
"""Options of A1111's lines that are called otherwise than the fields."""

_PROMPTS = ("prompt", "negative_prompt")


def plan_prompts(grid: GridRequest, prompts: PromptList, seeds: SeedSource) -> Plan:
    """The plan of a list of prompts.

    Raises:
        BadInput: the file cannot be read, or has no line.
    """
    base = given_values(grid.base)
    drafts: list[Draft] = []
    problems: list[str] = []
    for where, given in _read(prompts):
        try:
            values = given if isinstance(given, dict) else read_line(given)
        except ValueError as error:
            problems.append(f"{where}: {error}")
            continue
        own_seed = "seed" in values
        drafts.append(Draft(_merged(base, values, prompts.position), where=where, own_seed=own_seed))
    check_count(len(drafts) + len(problems))
    plan = listed_plan(SCRIPT, "prompts", drafts, grid, seeds)
    return replace(plan, problems=(*problems, *plan.problems))


def listed_plan(script: str, name: str, drafts: list[Draft], grid: GridRequest, seeds: SeedSource) -> Plan:
    """The plan of cells that follow one another, on a sheet only where it is asked for."""
    rows = rows_for(len(drafts))
    columns = -(-len(drafts) // rows)
    placed = [
        replace(draft, place=(number % columns, number // columns, 0), labels=(draft.where,))
        for number, draft in enumerate(drafts)
    ]
    cells, problems = checked_cells(placed, grid, seeds)
    return Plan(
        script=script,
        file_name=name,
        cells=cells,
        problems=tuple(problems),
        columns=("",) * columns,
        rows=("",) * rows,
        has_sheets=grid.sheets is True,
    )


def read_line(line: str) -> dict[str, Any]:
    """The request fields of a line: it is the prompt, or begins with "--" and has options.

    Raises:
        ValueError: an option that there is not, or a value that it cannot have.
    """
    if not line.startswith("--"):
        return {"prompt": line}
    values: dict[str, Any] = {}
    for name, words in _options(line):
        path = A1111_OPTIONS.get(name, name)
        text = " ".join(words)
        if path in _PROMPTS:
            values[path] = text
            continue
        try:
            field = find_field(path)
            put(values, field.path, field.value(text))
        except UnknownName as error:
            raise ValueError(f"there is no option '--{name}'. {error.hint}".rstrip(".")) from error
        except ValueError as error:
            raise ValueError(f"--{name} '{text}': {error}") from error
    return values


def _options(line: str) -> list[tuple[str, list[str]]]:
    """Each option with the words behind it; a negative number is a word, too."""
    options: list[tuple[str, list[str]]] = []
    for word in shlex.split(line):
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            options.append((name, [value] if equals else []))
        else:
            options[-1][1].append(word)
    for name, words in options:
        if not words:
            raise ValueError(f"--{name} needs a value")
    return options


def _merged(base: dict[str, Any], values: dict[str, Any], position: str) -> dict[str, Any]:
    """The base with a line's values over it; prompts that both have are joined by a space."""
    merged = _over(deepcopy(base), values)
    for name in _PROMPTS:
        own, common = values.get(name), base.get(name)
        if own and common:
            merged[name] = f"{own} {common}" if position == "start" else f"{common} {own}"
    return merged


def _over(base: dict[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    for name, value in values.items():
        both = isinstance(value, Mapping) and isinstance(base.get(name), dict)
        base[name] = _over(base[name], value) if both else value
    return base


def _read(prompts: PromptList) -> list[tuple[str, Any]]:
    """Lines or JSON objects, each with where it stands."""
    if prompts.file is None:
        return _lines("\n".join(prompts.lines))
    text = _text(prompts.file.expanduser())
    return _objects(text, prompts.file) if prompts.file.suffix.lower() == ".json" else _lines(text)


def _lines(text: str) -> list[tuple[str, Any]]:
    numbered = ((f"line {number}", line.strip()) for number, line in enumerate(text.splitlines(), start=1))
    return [(where, line) for where, line in numbered if line and not line.startswith("#")]


def _objects(text: str, file: Path) -> list[tuple[str, Any]]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"'{file.name}' is not JSON.", why=f"{error}.") from error
    if not isinstance(found, list) or not all(isinstance(entry, (dict, str)) for entry in found):
        raise BadInput(
            f"'{file.name}' is no list of requests.",
            hint='Write it so: [{"prompt": "a cat", "steps": 20}, {"prompt": "a dog"}]',
        )
    objects = [{"prompt": entry} if isinstance(entry, str) else entry for entry in found]
    return [(f"request {number}", entry) for number, entry in enumerate(objects, start=1)]


def _text(file: Path) -> str:
    try:
        if file.stat().st_size > LARGEST_FILE:
            raise BadInput(f"'{file.name}' is too large for a list of prompts.")
        return file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(
            f"'{file.name}' is not text in UTF-8.", why=f"{error}.", hint="Save it as UTF-8."
        ) from error
    except OSError as error:
        raise BadInput(
            f"'{file}' cannot be read.", why=f"{error.strerror}.", hint="Check the path."
        ) from error
