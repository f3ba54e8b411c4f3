"""Pictures saved as the settings say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from sfumato_pictures.metadata import PARAMETERS
from sfumato_pictures.reading import read_picture
from sfumato_pictures.settings import SavingSettings
from sfumato_pictures.writer import PictureWriter

PIXELS = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)


def test_format_folder_and_name_are_those_of_the_settings(tmp_path: Path) -> None:
    settings = SavingSettings(
        format="webp", webp_lossless=True, folder_name="[model_name]/[width]", file_name="[seed]"
    )
    writer = PictureWriter(tmp_path, settings)
    for number, pixels in enumerate((PIXELS, torch.from_numpy(PIXELS)), 1):
        saved = writer.save(pixels, {PARAMETERS: "x"}, {"seed": 5, "model": "a/b"})
        assert saved.path == tmp_path / "a_b" / "6" / f"{number:05d}-5.webp"
        picture = read_picture(saved.path)
        assert np.array_equal(picture.pixels, PIXELS)
        assert picture.metadata.parameters == "x"


def test_a_picture_too_large_for_the_format_is_told(tmp_path: Path) -> None:
    wide = np.zeros((1, 16_384, 3), dtype=np.uint8)
    writer = PictureWriter(tmp_path, SavingSettings(format="webp", number_files=False, file_name="[width]"))
    saved = writer.save(wide, {}, {})
    assert (saved.path.name, len(saved.warnings)) == ("16384.png", 1)


def test_one_picture_may_be_of_another_format(tmp_path: Path) -> None:
    writer = PictureWriter(tmp_path, SavingSettings())
    assert writer.save(PIXELS, {}, {"seed": 1}, format="avif").path.name == "00001-1.avif"
