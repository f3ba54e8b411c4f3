"""`sfumato info`, `sheet` and `zip` as a user calls them."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy
import pytest
from PIL import Image

from sfumato.cli.app import main
from sfumato_pictures.png import encode_png

INFOTEXT = "a cat\nSteps: 4, Sampler: Euler, CFG scale: 7.0, Seed: 1, Size: 8x6"


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(3):
        pixels = Image.new("RGB", (8, 6), (80 * number, 20, 20))
        path = folder / f"{number}.png"
        texts = {"parameters": INFOTEXT} if number == 0 else {}
        path.write_bytes(encode_png(numpy.asarray(pixels), texts))
    (folder / "notes.txt").write_text("no picture")
    return folder


def test_info_tells_what_pictures_remember(pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(pictures)]) == 0
    told = capsys.readouterr().out
    assert INFOTEXT in told
    assert told.count("(8x6") == 3
    assert told.count("does not tell how it was made") == 2
    assert main(["info", "--json", str(pictures / "0.png")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["parameters"], found["source"], found["width"]) == (INFOTEXT, "a1111", 8)


@pytest.mark.parametrize(("columns", "size"), [(0, (16, 12)), (1, (8, 18)), (3, (24, 6))])
def test_a_sheet_holds_all_pictures(
    pictures: Path, columns: int, size: tuple[int, int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "sheet.png"
    assert main(["sheet", str(pictures), "--out", str(out), "--columns", str(columns)]) == 0
    assert capsys.readouterr().out.strip() == str(out)
    with Image.open(out) as sheet:
        assert sheet.size == size
        assert sheet.getpixel((0, 0)) == (0, 20, 20)


def test_a_sheet_of_no_known_ending_is_refused(pictures: Path, tmp_path: Path) -> None:
    assert main(["sheet", str(pictures), "--out", str(tmp_path / "sheet.doc")]) == 2
    assert not (tmp_path / "sheet.doc").exists()


def test_an_archive_holds_the_files_as_they_are(pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "all.zip"
    assert main(["zip", str(pictures), "--out", str(out)]) == 0
    with zipfile.ZipFile(out) as archive:
        assert archive.namelist() == ["0.png", "1.png", "2.png"]
        assert archive.read("0.png") == (pictures / "0.png").read_bytes()


@pytest.mark.parametrize("command", ["info", "sheet", "zip"])
def test_a_folder_without_pictures_is_told(command: str, tmp_path: Path) -> None:
    out = [] if command == "info" else ["--out", str(tmp_path / "x.png")]
    assert main([command, str(tmp_path), *out]) == 2
