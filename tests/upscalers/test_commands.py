"""`sfumato upscale` and `sfumato upscalers`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sfumato.cli import main

from .networks import compact, write


@pytest.fixture
def options(tmp_path: Path) -> list[str]:
    write(compact(), tmp_path / "models" / "ESRGAN" / "RealESRGAN_x4plus.pth")
    return ["--set", f"general.model_folders={json.dumps([str(tmp_path / 'models')])}"]


@pytest.fixture
def given(tmp_path: Path) -> Path:
    Image.fromarray(np.zeros((6, 8, 3), np.uint8)).save(tmp_path / "x.png")
    return tmp_path / "x.png"


def test_pictures_are_enlarged_and_their_paths_printed(
    options: list[str], given: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "upscale",
        str(given),
        "--upscaler",
        "R-ESRGAN 4x+",
        "--scale",
        "3",
        "--out",
        str(tmp_path / "new"),
    ]
    assert main([*options, *words]) == 0
    path = Path(capsys.readouterr().out.strip())
    assert path.parent == tmp_path / "new"
    with Image.open(path) as image:
        assert image.size == (24, 18)


def test_json_tells_of_each_picture_and_a_skipped_one_makes_the_exit_code_1(
    options: list[str], given: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "upscale",
        str(given),
        str(tmp_path / "gone.png"),
        "--width",
        "40",
        "--json",
        "--out",
        str(tmp_path),
    ]
    assert main([*options, *words]) == 1
    captured = capsys.readouterr()
    told = json.loads(captured.out)
    assert (told["width"], told["height"]) == (40, 30)
    assert "'gone.png' is skipped" in captured.err


def test_a_value_out_of_range_is_told(
    options: list[str], given: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*options, "upscale", str(given), "--scale", "17"]) == 2
    assert "scale" in capsys.readouterr().err


def test_upscalers_are_listed(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*options, "upscalers", "--json"]) == 0
    listed = {row["label"]: row for row in json.loads(capsys.readouterr().out)}
    assert listed["R-ESRGAN 4x+"]["path"].endswith("RealESRGAN_x4plus.pth")
    assert listed["Latent (nearest-exact)"]["kind"] == "upscaler of latents"
    assert main([*options, "upscalers"]) == 0
    assert "R-ESRGAN 4x+" in capsys.readouterr().out
