"""A server with worker processes, for as long as a block lasts."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sfumato.settings import Settings
from sfumato.studio import Studio
from sfumato_ui_web.app import create_app
from sfumato_ui_web.server import StudioServer

from ..conftest import LiveServer


@contextmanager
def serving(folder: Path) -> Iterator[LiveServer]:
    """Its data, pictures and models lie in `folder`."""
    overrides = {
        "general.output_folder": str(folder / "pictures"),
        "general.data_folder": str(folder / "data"),
        "general.model_folders": str(folder / "models"),
    }
    studio = Studio(Settings.load(file=folder / "settings.toml", environ={}, overrides=overrides))
    app = create_app(studio)
    live = LiveServer(StudioServer(app, "127.0.0.1", 0, 4), studio, app)
    thread = threading.Thread(target=live.server.run, daemon=True)
    thread.start()
    studio.workers.start()
    yield live
    studio.workers.stop()
    live.server.stop()
    thread.join(10)
    studio.database.close()
    assert not thread.is_alive()
