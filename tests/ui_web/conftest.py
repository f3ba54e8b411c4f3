"""A studio of its own for each test, and its pages by test client, by a real server, and in Chromium."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from sfumato.settings import Settings
from sfumato.studio import Studio
from sfumato_ui_web.app import create_app
from sfumato_ui_web.server import StudioServer

StartServer = Callable[..., "LiveServer"]


@dataclass
class LiveServer:
    """A server that answers on a free port of this machine."""

    server: StudioServer
    studio: Studio
    app: Flask

    @property
    def url(self) -> str:
        """Without a slash at the end."""
        return self.server.url.rstrip("/")

    @property
    def port(self) -> int:
        return self.server.port


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, str]:
    """Settings that differ from the defaults; a test may change them before it asks for `studio`."""
    return {
        "general.output_folder": str(tmp_path / "pictures"),
        "general.data_folder": str(tmp_path / "data"),
        "general.model_folders": str(tmp_path / "models"),
    }


@pytest.fixture
def studio(tmp_path: Path, settings: dict[str, str]) -> Iterator[Studio]:
    studio = Studio(Settings.load(file=tmp_path / "settings.toml", environ={}, overrides=settings))
    yield studio
    studio.database.close()


@pytest.fixture
def app(studio: Studio) -> Flask:
    """The application; `client` asks it without a server."""
    return create_app(studio)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A program on this machine, which no browser speaks for."""
    return app.test_client()


@pytest.fixture
def start_server(studio: Studio, app: Flask) -> Iterator[StartServer]:
    """Starts a real server, with ``workers=True`` also the processes that work the queue off."""
    running: list[tuple[LiveServer, threading.Thread, bool]] = []

    def start(*, workers: bool = False, served: Flask | None = None, threads: int = 4) -> LiveServer:
        live = LiveServer(StudioServer(served or app, "127.0.0.1", 0, threads), studio, served or app)
        thread = threading.Thread(target=live.server.run, daemon=True)
        thread.start()
        if workers:
            studio.workers.start()
        running.append((live, thread, workers))
        return live

    yield start
    for live, thread, workers in running:
        if workers:
            studio.workers.stop()
        live.server.stop()
        thread.join(10)
        assert not thread.is_alive()


@pytest.fixture
def live_server(start_server: StartServer) -> LiveServer:
    """A real server without workers."""
    return start_server()
