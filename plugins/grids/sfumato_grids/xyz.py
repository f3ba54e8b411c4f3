"""X/Y/Z grids: a cell for every combination of the values of up to three axes."""

from __future__ import annotations

from copy import deepcopy
from itertools import product
from typing import Any

from sfumato.request import GridRequest
from sfumato_grids.axes import SEEDS, Side, Step, Values, read_axis
from sfumato_grids.plan import Draft, Plan, check_count, checked_cells, given_values
from sfumato_grids.seeds import SeedSource

SCRIPT = "X/Y/Z plot"


def plan_axes(grid: GridRequest, seeds: SeedSource) -> Plan:
    """The plan of a grid over axes.

    Raises:
        BadInput: there are too many cells.
    """
    base = given_values(grid.base)
    sides, problems = [], []
    for axis in (grid.x, grid.y, grid.z):
        side, wrong = read_axis(axis, base, seeds)
        sides.append(side)
        problems += wrong
    x, y, z = sides
    check_count(len(x.steps) * len(y.steps) * len(z.steps))
    drafts = []
    for (iz, on_z), (iy, on_y), (ix, on_x) in product(*(enumerate(side.steps) for side in (z, y, x))):
        places = (ix, iy, iz)
        try:
            values = _changed(base, sides, (on_x, on_y, on_z))
        except ValueError as error:
            problems.append(str(error))
            continue
        drafts.append(
            Draft(
                values,
                places,
                tuple(step.label for step in (on_x, on_y, on_z)),
                own_seed=any(side.name == "seed" for side in sides),
                seed_offset=_seed_offset(sides, places),
            )
        )
    cells, wrong = checked_cells(drafts, grid, seeds)
    return Plan(
        script=SCRIPT,
        file_name="xyz_grid",
        cells=cells,
        problems=(*problems, *wrong),
        columns=tuple(step.label for step in x.steps),
        rows=tuple(step.label for step in y.steps),
        sheets=tuple(step.label for step in z.steps),
        fields={**_fields("X", x), **_fields("Y", y)},
        whole_fields=_fields("Z", z),
        has_sheets=grid.sheets is not False,
    )


def _changed(base: Values, sides: list[Side], steps: tuple[Step, ...]) -> Values:
    """A copy of the base's values with each axis' change, in an order that does not depend on the axes'."""
    values: dict[str, Any] = deepcopy(base)
    for _, step in sorted(zip(sides, steps, strict=True), key=lambda pair: pair[0].turn):
        step.change(values)
    return values


def _seed_offset(sides: list[Side], places: tuple[int, int, int]) -> int:
    """What axes that vary the seed add to it, as in A1111."""
    offset, width = 0, 1
    for side, place in zip(sides, places, strict=True):
        if side.vary_seed:
            offset += place * width
            width *= len(side.steps)
    return offset


def _fields(letter: str, side: Side) -> dict[str, str]:
    """An axis in the infotext, under A1111's keys."""
    if side.name == "nothing":
        return {}
    fields = {f"{letter} Type": side.label, f"{letter} Values": side.text}
    if side.name in SEEDS and side.fixed is not None:
        fields[f"Fixed {letter} Values"] = side.fixed
    return fields
