"""A studio served as `sfumato ui` serves it: waitress, a worker process, and the embedded model."""

from __future__ import annotations

import base64
import io
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image

from sfumato.settings import Settings
from sfumato.studio import Studio
from sfumato_ui_web.app import create_app
from sfumato_ui_web.server import StudioServer

TINY = {"steps": 2, "width": 64, "height": 64, "cfg_scale": 1.0, "seed": 7}
"""A picture that takes a moment."""


@dataclass
class Served:
    """A server that answers, and how to ask it.

    Attributes:
        url: Without a slash at its end.
    """

    studio: Studio
    url: str
    output: Path

    def get(self, path: str, **more: Any) -> requests.Response:
        return requests.get(f"{self.url}{path}", timeout=120, **more)

    def post(self, path: str, body: Any = None, **more: Any) -> requests.Response:
        return requests.post(f"{self.url}{path}", json=body, timeout=120, **more)


def settings_in(folder: Path, **more: str) -> Settings:
    """Settings of a studio that writes nothing outside of a folder."""
    given = {
        "general.data_folder": str(folder / "data"),
        "general.output_folder": str(folder / "pictures"),
        "general.model_folders": str(folder / "models"),
        "engine.preview_every": "1",
        "engine.device": "cpu",
    }
    file = folder / "settings.toml"
    return Settings.load(file=file, environ={}, overrides={**given, **more})


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with its worker, for all tests of a module."""
    folder = tmp_path_factory.mktemp("studio")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("SFUMATO_")]:
            patch.delenv(name)
        patch.setenv("SFUMATO_CONFIG", str(folder / "settings.toml"))
        for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
            patch.setenv(name, str(folder / name.lower()))
        studio = Studio(settings_in(folder))
        server = StudioServer(create_app(studio), "127.0.0.1", 0)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        studio.workers.start()
        try:
            yield Served(studio, server.url.rstrip("/"), folder / "pictures")
        finally:
            server.stop()
            studio.workers.stop()
            thread.join(10)
            studio.jobs.close()
            studio.database.close()


@pytest.fixture(scope="module")
def app_client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A client of an application that no worker works for, for all tests of a module."""
    studio = Studio(settings_in(tmp_path_factory.mktemp("studio")))
    yield create_app(studio).test_client()
    studio.jobs.close()
    studio.database.close()


def picture(width: int = 64, height: int = 64, colour: str = "#3366aa") -> Image.Image:
    """A plain picture."""
    return Image.new("RGB", (width, height), colour)


def in_base64(image: Image.Image, **saving: Any) -> str:
    """A picture as a PNG in base64."""
    file = io.BytesIO()
    image.save(file, **{"format": "PNG", **saving})
    return base64.b64encode(file.getvalue()).decode()


def decoded(text: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(text)))
