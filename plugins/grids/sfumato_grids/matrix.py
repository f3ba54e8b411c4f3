"""Prompt matrices: the parts behind | in a prompt, in every combination, as A1111's script draws them."""

from __future__ import annotations

from collections.abc import Sequence

from sfumato.errors import BadInput
from sfumato.request import GridRequest, PromptMatrix
from sfumato_grids.plan import Draft, Plan, check_count, checked_cells, given_values
from sfumato_grids.seeds import SeedSource

SCRIPT = "Prompt matrix"
_SEPARATORS = {"comma": ", ", "space": " "}


def plan_matrix(grid: GridRequest, matrix: PromptMatrix, seeds: SeedSource) -> Plan:
    """The plan of a prompt matrix: the first half of the parts across, the others down.

    Raises:
        BadInput: the prompt has no part behind a |, or too many.
    """
    first, *parts = getattr(grid.base, matrix.of).split("|")
    if not parts:
        raise BadInput(
            "The prompt has no parts to combine.", hint='Write them behind |: "a cat|in a hat|on a mat"'
        )
    check_count(2 ** min(len(parts), 64))
    base = given_values(grid.base)
    across = (len(parts) + 1) // 2
    drafts = []
    for number in range(2 ** len(parts)):
        chosen = [part.strip().strip(",") for place, part in enumerate(parts) if number >> place & 1]
        text = _joined(first, chosen, matrix)
        place = (number % 2**across, number // 2**across, 0)
        drafts.append(Draft({**base, matrix.of: text}, place, labels=(text,)))
    cells, problems = checked_cells(drafts, grid, seeds)
    return Plan(
        script=SCRIPT,
        file_name="prompt_matrix",
        cells=cells,
        problems=tuple(problems),
        columns=_labels(parts[:across]),
        rows=_labels(parts[across:]),
        has_sheets=grid.sheets is not False,
    )


def _joined(first: str, chosen: list[str], matrix: PromptMatrix) -> str:
    texts = [*chosen, first] if matrix.at_start else [first, *chosen]
    return _SEPARATORS[matrix.separator].join(texts)


def _labels(parts: Sequence[str]) -> tuple[str, ...]:
    """Beside each column or row: which parts it has (+), and which not (-)."""
    return tuple(
        "   ".join(
            f"{'+' if number >> place & 1 else '-'} {part.strip()}" for place, part in enumerate(parts)
        )
        for number in range(2 ** len(parts))
    )
