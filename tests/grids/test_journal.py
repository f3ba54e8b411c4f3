"""The journal: what it keeps, and what a crash may do to it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfumato.errors import SfumatoError
from sfumato.records import ImageRecord
from sfumato.request import GridRequest
from sfumato_grids.journal import Journal, cell_key

from .conftest import apples, axis

GRID = GridRequest(base=apples(), x=axis("steps", "1-3"))


def record(folder: Path, name: str) -> ImageRecord:
    (folder / name).write_bytes(b"x")
    return ImageRecord(path=folder / name, seed=1, width=8, height=8, infotext="", request=apples())


def test_what_was_written_is_known_to_the_next_run(tmp_path: Path) -> None:
    journal, image = Journal.of(GRID, tmp_path), record(tmp_path, "1.png")
    journal.begin("a")
    journal.finish("a", [image])
    journal.begin("b")
    again = Journal.of(GRID, tmp_path)
    assert again.finished("a") == (image,)
    assert again.begun
    assert again.begun.key == "b"
    assert again.seeds == journal.seeds
    assert again.path.name.startswith(".")


def test_a_picture_that_is_gone_is_drawn_again(tmp_path: Path) -> None:
    journal, image = Journal.of(GRID, tmp_path), record(tmp_path, "1.png")
    journal.finish("a", [image])
    image.path.unlink()
    assert Journal.of(GRID, tmp_path).finished("a") == ()


def test_a_folder_may_be_moved(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    Journal.of(GRID, tmp_path / "here").finish("a", [record(tmp_path / "here", "1.png")])
    (tmp_path / "here").rename(tmp_path / "there")
    (found,) = Journal.of(GRID, tmp_path / "there").finished("a")
    assert found.path == tmp_path / "there" / "1.png"


@given(cut=st.integers(0, 400))
def test_a_line_that_was_cut_off_is_passed_over_and_ended(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    journal = Journal.of(GRID, folder)
    journal.finish("a", [record(folder, "1.png")])
    whole = journal.path.read_bytes()
    journal.path.write_bytes(whole[: len(whole) - min(cut, len(whole))])
    again = Journal.of(GRID, folder)
    again.finish("b", [record(folder, "2.png")])
    third = Journal.of(GRID, folder)
    assert third.finished("b")
    assert bool(third.finished("a")) == (cut <= 1)
    assert third.seeds == again.seeds


def test_bytes_that_are_no_journal_are_passed_over(tmp_path: Path) -> None:
    journal = Journal.of(GRID, tmp_path)
    journal.path.write_bytes(b'\xff\xfe\n[1]\n7\n{"done": "x"}\n{"done": "y", "images": [{"path": 3}]}\n{}')
    assert Journal.of(GRID, tmp_path).done == {}


def test_another_grid_has_another_journal_and_a_fresh_one_forgets(tmp_path: Path) -> None:
    journal = Journal.of(GRID, tmp_path)
    journal.finish("a", [record(tmp_path, "1.png")])
    other = Journal.of(GRID.model_copy(update={"margin": 3}), tmp_path)
    assert other.path != journal.path
    fresh = Journal.of(GRID.model_copy(update={"resume": False}), tmp_path)
    assert (fresh.path, fresh.done) == (journal.path, {})


def test_a_start_picture_that_changed_makes_another_cell(tmp_path: Path) -> None:
    start = tmp_path / "start.png"
    start.write_bytes(b"one")
    request = apples(img2img={"image": start})
    before = cell_key(request)
    assert cell_key(request) == before
    start.write_bytes(b"other")
    assert cell_key(request) != before


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(SfumatoError, match="cannot be used"):
        Journal.of(GRID, tmp_path / "out").begin("a")


def test_two_runs_of_one_grid_do_not_draw_into_one_folder(tmp_path: Path) -> None:
    other = Journal.of(GRID.model_copy(update={"margin": 3}), tmp_path)
    with Journal.of(GRID, tmp_path).held(), other.held():
        with pytest.raises(SfumatoError, match="being drawn") as error, Journal.of(GRID, tmp_path).held():
            pass
        assert "--out" in error.value.hint
    with Journal.of(GRID, tmp_path).held():
        pass


def test_a_fresh_run_takes_nothing_from_one_that_is_being_drawn(tmp_path: Path) -> None:
    journal = Journal.of(GRID, tmp_path)
    fresh = Journal.of(GRID.model_copy(update={"resume": False}), tmp_path)
    with journal.held():
        journal.finish("a", [record(tmp_path, "1.png")])
        with pytest.raises(SfumatoError), fresh.held():
            pass
    assert Journal.of(GRID, tmp_path).done
    with fresh.held():
        pass
    assert not Journal.of(GRID, tmp_path).done
