"""What a grid consists of: its cells, and how they are laid out on sheets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from sfumato.errors import BadInput
from sfumato.request import GenerationRequest, GridRequest
from sfumato.request.schema import in_words
from sfumato_grids.prompt_edits import without_empty_tags
from sfumato_grids.seeds import SeedSource, seeded

MOST_CELLS = 100_000
MOST_PROBLEMS = 12
"""That are told at once."""


@dataclass(frozen=True)
class Draft:
    """A cell before its request is checked.

    Attributes:
        values: The fields of its request that are given.
        place: Column, row and sheet, from 0.
        labels: What tells it from the others.
        where: Names it in messages; empty where the problem says it.
        own_seed: Whether it names a seed itself.
        seed_offset: Added to the seed.
        file_name: Of its picture, without ending; empty for that of the settings.
        problem: Why it cannot be drawn, though others can.
    """

    values: Mapping[str, Any]
    place: tuple[int, int, int] = (0, 0, 0)
    labels: tuple[str, ...] = ()
    where: str = ""
    own_seed: bool = False
    seed_offset: int = 0
    file_name: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Cell:
    """One request of a grid, complete but for what the model's defaults fill in."""

    request: GenerationRequest
    place: tuple[int, int, int]
    labels: tuple[str, ...]
    file_name: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Plan:
    """All cells in the order asked for, and their sheets.

    Attributes:
        script: What infotexts call it, as A1111's scripts are called.
        file_name: Of its sheets.
        columns, rows, sheets: Labels; as many as there are of each.
        fields: Of the infotext of every sheet.
        whole_fields: Of the one of all sheets, beside these.
        has_sheets: Whether sheets are drawn.
        problems: Why nothing of it can be drawn; `cells` are those without.
    """

    script: str
    file_name: str
    cells: tuple[Cell, ...]
    columns: tuple[str, ...] = ("",)
    rows: tuple[str, ...] = ("",)
    sheets: tuple[str, ...] = ("",)
    fields: Mapping[str, str] = field(default_factory=dict)
    whole_fields: Mapping[str, str] = field(default_factory=dict)
    has_sheets: bool = True
    problems: tuple[str, ...] = ()


def given_values(request: GenerationRequest) -> dict[str, Any]:
    """The fields that a request names, as values that can be changed."""
    return request.model_dump(exclude_unset=True)


def check_count(count: int) -> None:
    """Raises `BadInput` when a grid would have no end, or no picture."""
    if not count:
        raise BadInput("There is nothing to draw.", hint="Check the source of prompts or pictures.")
    if count > MOST_CELLS:
        raise BadInput(
            f"The grid would have {count} cells.",
            why=f"{MOST_CELLS} are the most.",
            hint="Take fewer values.",
        )


def checked_cells(
    drafts: Sequence[Draft], grid: GridRequest, seeds: SeedSource
) -> tuple[tuple[Cell, ...], list[str]]:
    """The drafts as requests with their seeds settled, and what is wrong with those that cannot be."""
    cells: list[Cell] = []
    problems: list[str] = []
    for number, draft in enumerate(drafts):
        try:
            request = GenerationRequest.model_validate(_tidied(draft.values))
        except ValidationError as error:
            problems += [": ".join(filter(None, (draft.where, in_words(each)))) for each in error.errors()]
            continue
        request = seeded(request, grid, seeds, number, own=draft.own_seed, offset=draft.seed_offset)
        cells.append(Cell(request, draft.place, draft.labels, draft.file_name, draft.problem))
    return tuple(cells), problems


def refuse(problems: Sequence[str]) -> None:
    """Raises `BadInput` with the problems, each once, if there are any."""
    each = list(dict.fromkeys(problems))
    if not each:
        return
    more = f"; and {len(each) - MOST_PROBLEMS} more" if len(each) > MOST_PROBLEMS else ""
    raise BadInput(
        "The grid cannot be drawn so.",
        why=f"{'; '.join(each[:MOST_PROBLEMS])}{more}.",
        hint="Nothing was drawn yet.",
    )


def _tidied(values: Mapping[str, Any]) -> dict[str, Any]:
    """Without a refiner that no model is named for, and tags that name no LoRA."""
    tidy = dict(values)
    refiner = tidy.get("refiner")
    if isinstance(refiner, dict) and "model" in refiner and refiner["model"] is None:
        tidy["refiner"] = None
    if tidy.get("prompt"):
        tidy["prompt"] = without_empty_tags(str(tidy["prompt"]))
    return tidy
