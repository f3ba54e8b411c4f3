"""The plugin keeps the contracts, and does what only it promises."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask.testing import FlaskClient
from PIL import Image

from sfumato.errors import BadInput
from sfumato.events import EventBus, Warned
from sfumato.studio import Studio
from sfumato.tasks import TaskContext
from sfumato.testing import PanelContract, PluginContract, RoutesContract
from sfumato_palette.files import WritePalettesRequest, write_palettes


class TestPlugin(PluginContract):
    name = "palette"


class TestPanel(PanelContract):
    name = "palette"


class TestRoutes(RoutesContract):
    name = "palette"

    def test_a_studio_without_pictures_has_no_colours(self, client: FlaskClient) -> None:
        assert client.get("/palette/v1/newest").json == {"colours": []}


@pytest.fixture
def flag(tmp_path: Path) -> Path:
    """Two thirds blue, one third yellow."""
    picture = Image.new("RGB", (30, 30), (0, 87, 183))
    picture.paste((255, 215, 0), (0, 20, 30, 30))
    picture.save(tmp_path / "flag.png")
    return tmp_path / "flag.png"


def test_the_most_frequent_colour_comes_first(flag: Path) -> None:
    answer = Studio().ask("palette", picture=flag, colours=2).model_dump()
    assert answer == {"colours": ("#0057b7", "#ffd700")}


def test_a_file_that_is_no_picture_is_an_error_for_people(tmp_path: Path) -> None:
    (tmp_path / "no.png").write_text("no picture")
    with pytest.raises(BadInput, match=r"no\.png"):
        Studio().ask("palette", picture=tmp_path / "no.png")


def test_each_picture_of_a_folder_gets_a_palette_and_what_is_none_a_warning(flag: Path) -> None:
    (flag.parent / "no.png").write_text("no picture")
    studio, warnings, events = Studio(), [], EventBus()
    events.subscribe(lambda event: warnings.append(event) if isinstance(event, Warned) else None)
    context = TaskContext(studio.registries, studio.library, studio.settings, flag.parent, events)
    written = write_palettes(WritePalettesRequest(folder=flag.parent, colours=2), context)
    assert written.files == (flag.with_suffix(".gpl"),)
    assert written.files[0].read_text().splitlines()[3:] == ["0 87 183 #0057b7", "255 215 0 #ffd700"]
    assert len(warnings) == 1
