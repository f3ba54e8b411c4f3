"""A plugin whose work is quick and saves files, studios with a folder of their own, and databases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from sfumato.database import Database
from sfumato.settings import Settings
from sfumato.studio import Studio

from ...postgresql import emptied
from ..conftest import InstallPlugin

PLUGIN = Path(__file__).with_name("drawing_plugin.py")

NewStudio = Callable[..., Studio]


@pytest.fixture
def settings_file(tmp_path: Path, install_plugin: InstallPlugin, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Settings of a studio whose only plugin is ours, in this process and in those it starts."""
    module = install_plugin("drawing", PLUGIN.read_text("utf-8"))
    others = sorted({point.name for point in entry_points(group="sfumato")} - {"drawing"})
    file = tmp_path / "settings.toml"
    file.write_text(
        f'[general]\ndata_folder = "{tmp_path / "data"}"\noutput_folder = "{tmp_path / "out"}"\n'
        f"[plugins]\ndisabled = {others}\n",
        "utf-8",
    )
    monkeypatch.setenv("SFUMATO_CONFIG", str(file))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    assert module == "drawing_dist"
    return file


@pytest.fixture
def new_studio(settings_file: Path) -> Iterator[NewStudio]:
    """Makes studios of the folder; settings as keywords, as in ``jobs_attempts="2"``."""
    made: list[Studio] = []

    def make(**overrides: str) -> Studio:
        keys = {name.replace("_", ".", 1): value for name, value in overrides.items()}
        studio = Studio(Settings.load(file=settings_file, overrides=keys))
        made.append(studio)
        return studio

    yield make
    for studio in made:
        studio.workers.stop(patience=5)
        studio.jobs.close()
        studio.database.close()


@pytest.fixture
def studio(new_studio: NewStudio) -> Studio:
    return new_studio()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty database of each kind."""
    if request.param == "sqlite":
        database = Database.in_folder(tmp_path / "database")
    else:
        database = emptied(request.getfixturevalue("postgresql"))
    yield database
    database.close()
