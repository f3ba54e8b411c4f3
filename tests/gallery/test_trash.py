from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sfumato.errors import BadInput, SfumatoError
from sfumato_gallery import trash as trash_module
from sfumato_gallery.filters import Filters
from sfumato_gallery.index import Found, PictureIndex
from sfumato_gallery.records import IndexReport, picture_id
from sfumato_gallery.trash import DAY, Trash

from ..infotexts import FOX, SAILOR
from .conftest import WritePicture

Run = Callable[..., IndexReport]


@pytest.fixture
def trash(index: PictureIndex, output: Path) -> Trash:
    return Trash(index, (output,), days=30)


@pytest.fixture
def kept(write_picture: WritePicture, run_indexing: Run, index: PictureIndex) -> Found:
    """A favourite."""
    path = write_picture("day/00001-a.png", SAILOR)
    run_indexing()
    index.change([picture_id(path)], favourite=True)
    return only(index)


def only(index: PictureIndex, *, trashed: bool = False) -> Found:
    (row,) = index.find(Filters(trash=trashed))
    return row


def test_a_picture_goes_to_the_trash_and_comes_back_as_it_was(
    kept: Found, trash: Trash, index: PictureIndex
) -> None:
    path = Path(kept.path)
    content = path.read_bytes()
    new = trash.throw_away(kept)
    assert not path.exists()
    assert index.find(Filters()) == []
    thrown = only(index, trashed=True)
    assert (thrown.id, thrown.original, Path(thrown.path).read_bytes()) == (new, kept.path, content)
    assert trash.take_back(thrown) == kept.id
    assert path.read_bytes() == content
    assert only(index) == kept


def test_it_is_found_by_its_old_id_too(kept: Found, trash: Trash, index: PictureIndex) -> None:
    new = trash.throw_away(kept)
    found = index.get(kept.id)
    assert found is not None
    assert found.id == new


def test_a_name_that_was_taken_meanwhile_is_left_to_its_owner(
    kept: Found, trash: Trash, index: PictureIndex, write_picture: WritePicture, run_indexing: Run
) -> None:
    trash.throw_away(kept)
    newer = write_picture("day/00001-a.png", FOX)
    run_indexing()
    content = newer.read_bytes()
    trash.take_back(only(index, trashed=True))
    assert newer.read_bytes() == content
    assert {row.name: row.favourite for row in index.find(Filters())} == {
        "00001-a.png": False,
        "00001-a-1.png": True,
    }


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_crash_while_throwing_away_loses_nothing(
    moment: str,
    kept: Found,
    trash: Trash,
    index: PictureIndex,
    run_indexing: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The database is told once the file is moved; the crash comes around the move."""

    def crash(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    if moment == "before":
        monkeypatch.setattr(trash_module, "_rename", crash)
    else:
        monkeypatch.setattr(index, "move", crash)
    with pytest.raises(KeyboardInterrupt):
        trash.throw_away(kept)
    monkeypatch.undo()
    run_indexing()
    if moment == "before":
        assert only(index) == kept
    else:
        thrown = only(index, trashed=True)
        assert thrown.favourite
        assert trash.take_back(thrown) == kept.id
        assert only(index) == kept


def test_a_trash_whose_database_is_lost_is_taken_in_again(
    kept: Found, trash: Trash, index: PictureIndex, run_indexing: Run
) -> None:
    trash.throw_away(kept)
    index.forget([only(index, trashed=True).id])
    run_indexing()
    thrown = only(index, trashed=True)
    assert (thrown.original, thrown.prompt) == (kept.path, kept.prompt)
    trash.take_back(thrown)
    assert Path(kept.path).exists()
    assert only(index).name == "00001-a.png"


def test_a_trash_that_is_a_link_is_not_followed(
    kept: Found, trash: Trash, tmp_path: Path, index: PictureIndex
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (Path(kept.path).parent / ".trash").symlink_to(elsewhere)
    with pytest.raises(SfumatoError, match="link"):
        trash.throw_away(kept)
    assert list(elsewhere.iterdir()) == []
    assert only(index) == kept


def test_a_picture_outside_the_folders_is_not_touched(
    kept: Found, index: PictureIndex, tmp_path: Path, output: Path
) -> None:
    with pytest.raises(BadInput):
        Trash(index, (tmp_path / "others",), days=30).throw_away(kept)
    assert Path(kept.path).exists()
    secret = tmp_path / "secret.png"
    Path(kept.path).rename(secret)
    Path(kept.path).symlink_to(secret)
    with pytest.raises(BadInput):
        Trash(index, (output,), days=30).throw_away(kept)
    assert secret.exists()


def test_what_is_too_old_is_deleted_for_good(kept: Found, trash: Trash, index: PictureIndex) -> None:
    trash.throw_away(kept)
    thrown = only(index, trashed=True)
    assert trash.expire() == 0
    index.change([thrown.id], trashed=time.time() - 31 * DAY)
    assert trash.expire() == 1
    assert index.find(Filters(trash=True)) == []
    assert not Path(thrown.path).exists()


def test_emptying_deletes_no_file_that_is_not_in_the_trash(
    kept: Found, trash: Trash, index: PictureIndex
) -> None:
    index.change([kept.id], trashed=1.0)
    assert trash.empty() == 0
    assert os.path.exists(kept.path)
