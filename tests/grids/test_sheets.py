"""Sheets at their limits."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from sfumato.records import ImageRecord
from sfumato.request import GridRequest
from sfumato.settings import Settings
from sfumato.studio import Studio
from sfumato.tasks import TaskContext
from sfumato_grids.empty_tile import empty_tile
from sfumato_grids.journal import Journal
from sfumato_grids.plan import Plan
from sfumato_grids.records import GridCell
from sfumato_grids.sheets import _Sheets, draw_sheets, sheet_text
from sfumato_pictures import infotext

from .conftest import apples, axis

GRID = GridRequest(base=apples(), x=axis("steps", "1-2"))
PLAN = Plan(script="X/Y/Z plot", file_name="xyz_grid", cells=(), columns=("one", "two"))


@pytest.fixture
def context(tmp_path: Path) -> TaskContext:
    settings = Settings.load(file=tmp_path / "none", environ={}, overrides={"saving.grid_megapixels": "1"})
    studio = Studio(settings)
    return TaskContext(studio.registries, studio.library, studio.settings, tmp_path)


def cell(folder: Path, column: int, size: tuple[int, int] | None) -> GridCell:
    images: tuple[ImageRecord, ...] = ()
    if size:
        path = folder / f"{column}.png"
        Image.new("RGB", size, "red").save(path)
        image = ImageRecord(path=path, seed=1, width=size[0], height=size[1], infotext="x", request=apples())
        images = (image,)
    return GridCell(column=column, row=0, sheet=0, labels=(), images=images, error="" if size else "Why not.")


def test_a_sheet_that_would_be_too_large_is_told_and_left_out(context: TaskContext, tmp_path: Path) -> None:
    cells = [cell(tmp_path, column, (900, 900)) for column in (0, 1)]
    told: list[str] = []
    journal = Journal.of(GRID, tmp_path)
    assert draw_sheets(PLAN, cells, GRID, journal, context, told.extend) == ()
    assert "too large" in told[0]
    assert "saving.grid_megapixels" in told[0]
    assert all(one.images[0].path.is_file() for one in cells)


def test_pictures_that_no_sheet_has_room_for_are_not_read(context: TaskContext, tmp_path: Path) -> None:
    cells = [cell(tmp_path, column, (900, 900)) for column in (0, 1)]
    for one in cells:
        one.images[0].path.unlink()
    told: list[str] = []
    sheets = _Sheets(PLAN, GRID, Journal.of(GRID, tmp_path), context, told.extend)
    assert not sheets.have_room(cells)
    assert sheets.have_room([cell(tmp_path, 0, (700, 700))])
    assert not sheets.have_room([cell(tmp_path, 0, (700, 700))], side_by_side=2)
    assert [text.count("too large") for text in told] == [1, 1]


def test_a_grid_without_any_picture_has_no_sheet(context: TaskContext, tmp_path: Path) -> None:
    cells = [cell(tmp_path, column, None) for column in (0, 1)]
    assert draw_sheets(PLAN, cells, GRID, Journal.of(GRID, tmp_path), context, lambda told: None) == ()


def test_a_sheet_is_drawn_again_when_a_failed_cell_came_to_be(context: TaskContext, tmp_path: Path) -> None:
    journal = Journal.of(GRID, tmp_path)
    first, missing = cell(tmp_path, 0, (64, 64)), cell(tmp_path, 1, None)
    (before,) = draw_sheets(PLAN, [first, missing], GRID, journal, context, lambda told: None)
    whole = [first, cell(tmp_path, 1, (64, 64))]
    (after,) = draw_sheets(PLAN, whole, GRID, journal, context, lambda told: None)
    assert before.path != after.path
    assert draw_sheets(PLAN, whole, GRID, journal, context, lambda told: None) == (after,)


@pytest.mark.parametrize("size", [(16, 16), (64, 64), (700, 20)])
@pytest.mark.parametrize("reason", ["", "There is no LoRA named 'x'." * 30, "\u4e0d\u5b58\u5728"])
def test_an_empty_tile_has_the_pictures_size_whatever_the_reason(size: tuple[int, int], reason: str) -> None:
    tile = empty_tile(size, reason)
    assert tile.shape == (size[1], size[0], 3)
    assert bool((tile != tile[-1, -1]).any()) == bool(reason)


def test_fields_of_the_grid_join_those_of_the_first_picture() -> None:
    first = infotext.write("a cat", "dull", {"Steps": 20, "Sampler": "Euler", "Seed": 3, "Version": "x"})
    values = 'red, "big"'
    text = infotext.read(sheet_text(first, {"Script": "X/Y/Z plot", "X Values": values}))
    assert (text.prompt, text.negative_prompt, text.fields["Seed"]) == ("a cat", "dull", "3")
    assert text.fields["X Values"] == values
    assert list(text.fields)[-1] == "Version"
