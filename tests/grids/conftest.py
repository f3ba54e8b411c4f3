"""A studio with the embedded model, which draws a 64 px picture of two steps in a tenth of a second."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sfumato.events import CancelToken, Event
from sfumato.request import Axis, GenerationRequest, GridRequest
from sfumato.settings import Settings
from sfumato.studio import Studio
from sfumato_grids.records import GridResult
from sfumato_pictures.reading import read_picture


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    file = tmp_path_factory.mktemp("settings") / "settings.toml"
    return Studio(Settings.load(file=file, environ={}, overrides={"engine.device": "cpu"}))


@dataclass
class Drawing:
    """Draws grids into one folder and notes what is told."""

    studio: Studio
    folder: Path
    events: list[Event] = field(default_factory=list)

    def __call__(
        self,
        request: GridRequest,
        *,
        on_event: Callable[[Event], None] = lambda event: None,
        cancel: CancelToken | None = None,
        studio: Studio | None = None,
    ) -> GridResult:
        def note(event: Event) -> None:
            self.events.append(event)
            on_event(event)

        result: GridResult = (studio or self.studio).run(
            "grid", request, output_folder=self.folder, on_event=note, cancel=cancel
        )
        return result


@pytest.fixture
def draw(studio: Studio, tmp_path: Path) -> Drawing:
    return Drawing(studio, tmp_path / "out")


def axis(field: str, *values: str, **more: Any) -> Axis:
    return Axis(field=field, values=values, **more)


def apples(**fields: Any) -> GenerationRequest:
    return GenerationRequest(**{"prompt": "a red apple", "seed": 5, "steps": 1, **fields})


def pixels(path: Path) -> NDArray[np.uint8]:
    return read_picture(path).pixels
