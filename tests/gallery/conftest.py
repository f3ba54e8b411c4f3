"""A studio with an empty gallery, and pictures to put into it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, PngImagePlugin

from sfumato import Studio
from sfumato.settings import Settings
from sfumato_gallery.index import PictureIndex
from sfumato_gallery.records import IndexReport, IndexRequest, PictureFacts

WritePicture = Callable[..., Path]


@pytest.fixture
def output(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    return folder


@pytest.fixture
def studio(tmp_path: Path, output: Path) -> Iterator[Studio]:
    overrides = {"general.output_folder": str(output), "general.data_folder": str(tmp_path / "data")}
    studio = Studio(Settings.load(file=tmp_path / "settings.toml", environ={}, overrides=overrides))
    yield studio
    studio.database.close()


@pytest.fixture
def index(studio: Studio) -> PictureIndex:
    return PictureIndex(studio.database)


@pytest.fixture
def write_picture(output: Path) -> WritePicture:
    """Saves a PNG below the output folder, with an infotext."""

    def write(
        name: str, infotext: str = "", *, size: tuple[int, int] = (40, 30), colour: Any = "teal"
    ) -> Path:
        path = output / name
        path.parent.mkdir(parents=True, exist_ok=True)
        texts = PngImagePlugin.PngInfo()
        if infotext:
            texts.add_text("parameters", infotext)
        Image.new("RGB", size, colour).save(path, pnginfo=texts)
        return path

    return write


@pytest.fixture
def run_indexing(studio: Studio) -> Callable[..., IndexReport]:
    def run(*folders: Path, **options: Any) -> IndexReport:
        report: IndexReport = studio.run("index_pictures", IndexRequest(folders=folders), **options)
        return report

    return run


def facts(name: str, **told: Any) -> PictureFacts:
    """A picture that is only told of."""
    values: dict[str, Any] = {"size": 1, "modified": 0.0, "width": 64, "height": 64, **told}
    return PictureFacts(path=Path("/pictures") / name, **values)
