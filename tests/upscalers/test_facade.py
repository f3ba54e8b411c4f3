"""Extras from Python, by `Studio.upscale`."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from sfumato.errors import BadInput
from sfumato.settings import Settings
from sfumato.studio import Studio


def test_pictures_are_enlarged_from_python(tmp_path: Path) -> None:
    studio = Studio(Settings.load(file=tmp_path / "none", environ={}, overrides={"engine.device": "cpu"}))
    Image.new("RGB", (8, 6), "red").save(tmp_path / "a.png")
    for images in (tmp_path / "a.png", [str(tmp_path / "a.png")]):
        result = studio.upscale(images, upscaler="nearest", scale=2, output_folder=tmp_path / "out")
        assert [(image.width, image.height) for image in result.images] == [(16, 12)]
    with pytest.raises(BadInput, match="scale: input should be greater than 0"):
        studio.upscale(tmp_path / "a.png", scale=0)
