"""Saved pictures can be given away: they tell how they were made, not by whom or where."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from sfumato.request import GenerationRequest
from sfumato.studio import Studio

PASSWORD = "hush-hush"


@pytest.fixture
def settings(settings: dict[str, str], tmp_path: Path) -> dict[str, str]:
    return {**settings, "jobs.database": f"sqlite:///{tmp_path / PASSWORD}.db"}


@pytest.mark.parametrize("format", ["png", "jpeg"])
def test_a_picture_holds_no_password_and_no_place(studio: Studio, format: str, tmp_path: Path) -> None:
    studio.settings.write("saving.format", format)
    request = GenerationRequest(prompt="a cat", model="emoji", steps=1, width=64, height=64)
    (image,) = Studio(studio.settings.read_again()).run("generate", request).images
    with Image.open(image.path) as picture:
        told = repr(picture.info) + repr(dict(picture.getexif().get_ifd(0x8769)))
    assert "a cat" in told or "a cat".encode("utf-16-be") in image.path.read_bytes()
    content = image.path.read_bytes()
    for secret in (PASSWORD, str(tmp_path)):
        assert secret not in told
        assert secret.encode() not in content
        assert secret.encode("utf-16-be") not in content
