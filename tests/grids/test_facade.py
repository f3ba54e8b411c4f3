"""Grids from Python, by `Studio.grid`."""

from __future__ import annotations

from pathlib import Path

import pytest

from sfumato.errors import BadInput, UnknownName
from sfumato.request import GridRequest
from sfumato.studio import Studio

from .conftest import apples

STEPS = {"field": "steps", "values": ["1-2"]}


def test_a_grid_is_drawn_from_python(studio: Studio, tmp_path: Path) -> None:
    result = studio.grid(apples(), x=STEPS, output_folder=tmp_path)
    assert [cell.images[0].request.steps for cell in result.cells] == [1, 2]
    assert result.sheets[0].path.is_file()


def test_a_whole_grid_is_drawn_with_fields_changed(studio: Studio, tmp_path: Path) -> None:
    whole = GridRequest.model_validate({"base": apples(), "x": STEPS})
    result = studio.grid(whole, sheets=False, output_folder=tmp_path)
    assert (len(result.cells), result.sheets) == (2, ())


def test_a_grid_that_cannot_be_is_told_in_words(studio: Studio, tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="margin"):
        studio.grid("a red apple", x=STEPS, margins=3, output_folder=tmp_path)
    with pytest.raises(BadInput, match=r"carried out\. a grid has either axes"):
        studio.grid("a red apple", output_folder=tmp_path)
