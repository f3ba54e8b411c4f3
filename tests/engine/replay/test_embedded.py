"""Replaying with the model that comes along, in a whole studio and on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from sfumato import Studio
from sfumato.cli import main

from .conftest import story_of


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a picture of its own, two variations of a batch, and an infotext in a lossy file."""
    folder = tmp_path_factory.mktemp("pictures")
    studio = Studio()
    small: dict[str, Any] = {
        "steps": 4,
        "output_folder": folder,
        "sampler": "euler_a",
        "negative_prompt": "blue",
    }
    studio.generate("a (red:1.3) apple", seed=7, **small)
    varied: dict[str, Any] = {"variation_seed": 3, "variation_strength": 0.4, "batch_size": 2}
    studio.generate("a [dog:cat:0.5]", seed=7, **small, **varied)
    return folder


def test_a_picture_comes_out_the_same_to_the_bit(pictures: Path, tmp_path: Path) -> None:
    report = Studio().replay(pictures / "00001-7.png", output_folder=tmp_path)
    assert (report.verdict, report.differences) == ("same", ())
    with Image.open(report.path) as old, Image.open(report.record.path) as new:
        assert old.tobytes() == new.tobytes()
        assert old.info["parameters"] == new.info["parameters"]


def test_the_story_tells_where_it_was_drawn(pictures: Path) -> None:
    story = story_of(pictures / "00001-7.png")
    environment = story["environment"]
    assert story["format"] == 2
    assert environment["contributors"] == {
        "sampler": "samplers",
        "scheduler": "samplers",
        "family": "models_flux",
    }
    assert environment["compute_types"] == {"default": "auto"}
    assert environment["threads"] >= 1
    assert {
        "platform",
        "processor",
        "device",
        "torch",
        "cuda",
        "python",
        "sfumato",
        "plugins",
    } <= environment.keys()
    assert len(environment["digest"]) == 12


def test_variations_of_a_batch_come_out_alone(pictures: Path, tmp_path: Path) -> None:
    for number, variation_seed in ((2, 3), (3, 4)):
        report = Studio().replay(pictures / f"{number:05}-7.png", output_folder=tmp_path)
        assert report.same
        request = report.record.request
        assert (request.seed, request.variation_seed, request.batch_size) == (7, variation_seed, 1)


def test_an_infotext_in_a_jpeg_is_enough(pictures: Path, tmp_path: Path) -> None:
    with Image.open(pictures / "00001-7.png") as image:
        exif = image.getexif()
        text = image.info["parameters"].encode("utf-16-be")
        exif.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + text
        image.save(tmp_path / "7.jpg", quality=95, exif=exif)
    report = Studio().replay(tmp_path / "7.jpg", output_folder=tmp_path)
    assert report.record.infotext == report_text(pictures / "00001-7.png")
    assert [str(difference) for difference in report.differences] == [
        "file: JPEG, which may lose detail then, PNG now"
    ]


def report_text(path: Path) -> str:
    with Image.open(path) as image:
        return str(image.info["parameters"])


def test_a_folder_is_verified_by_the_program(pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(pictures), "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["same"] for line in lines] == [True] * 3
