"""ZIP files of pictures."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import pytest

from sfumato.errors import SfumatoError
from sfumato_pictures.archive import stream_archive, write_archive


class OneWay(io.RawIOBase):
    """A stream that cannot seek, as the answer of a web server."""

    def __init__(self) -> None:
        self.content = b""

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self.content += bytes(data)
        return len(data)


def pictures(folder: Path, *names: str) -> list[Path]:
    paths = [folder / name for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(str(path.relative_to(folder)).encode())
    return paths


def content_of(file: Path | io.BytesIO) -> dict[str, bytes]:
    with zipfile.ZipFile(file) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def test_pictures_are_kept_whole_and_no_name_comes_twice(tmp_path: Path) -> None:
    paths = pictures(tmp_path, "a/1.png", "b/1.png", "c/1.PNG", "1-2.png")
    target = write_archive(tmp_path / "all.zip", paths)
    assert content_of(target) == {
        "1.png": b"a/1.png",
        "1-2.png": b"b/1.png",
        "1-3.PNG": b"c/1.PNG",
        "1-2-2.png": b"1-2.png",
    }


def test_names_in_an_archive_harm_nobody_who_unpacks_it(tmp_path: Path) -> None:
    paths = pictures(tmp_path, "a\\..\\b.png", "con.png")
    assert list(content_of(write_archive(tmp_path / "all.zip", paths))) == ["a_.._b.png", "_con.png"]


def test_an_archive_can_be_streamed(tmp_path: Path) -> None:
    stream = OneWay()
    stream_archive(stream, pictures(tmp_path, "a.png", "b.png"))  # type: ignore[arg-type]
    assert content_of(io.BytesIO(stream.content)) == {"a.png": b"a.png", "b.png": b"b.png"}


def test_a_missing_picture_leaves_the_old_archive_and_nothing_else(tmp_path: Path) -> None:
    target = write_archive(tmp_path / "all.zip", pictures(tmp_path, "a.png"))
    before = target.read_bytes()
    with pytest.raises(SfumatoError, match=r"no picture .*gone\.png"):
        write_archive(target, [tmp_path / "a.png", tmp_path / "gone.png"])
    assert target.read_bytes() == before
    assert sorted(os.listdir(tmp_path)) == ["a.png", "all.zip"]


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(SfumatoError, match=r"'all\.zip' could not be written"):
        write_archive(tmp_path / "nowhere" / "all.zip", [])
