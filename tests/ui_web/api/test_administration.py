"""Settings, plugins, workers and memory over the API."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flask import Flask, g
from flask.testing import FlaskClient

from sfumato.jobs.claiming import claim
from sfumato.jobs.recording import Recorder
from sfumato.settings import Settings
from sfumato.studio import Studio
from sfumato_ui_web.api.routes import build
from sfumato_ui_web.setting_rules import is_secret


@pytest.fixture
def stranger(studio: Studio) -> FlaskClient:
    """Someone who logged in from elsewhere."""
    app = Flask("users")
    app.before_request(lambda: setattr(g, "user", "anna"))
    app.register_blueprint(build(studio), url_prefix="/api/v1")
    return app.test_client()


def begin(studio: Studio) -> Recorder:
    """Take the next job as a worker does."""
    with studio.jobs.store.writing() as connection:
        row = claim(connection, "device", "worker", "")
    assert row is not None
    studio.jobs.changed()
    return Recorder(studio.jobs.store, row, studio.jobs.changed)


def test_the_root_says_who_answers(client: FlaskClient) -> None:
    for path in ("/api/v1", "/api/v1/"):
        told = client.get(path).json
        assert (told["name"], told["user"]) == ("Sfumato", "local")


def test_a_setting_is_changed_in_the_file_and_unset_again(client: FlaskClient, tmp_path: Path) -> None:
    address = "/api/v1/settings/gallery.trash_days"
    before = client.get(address).json
    assert (before["value"], before["origin"]) == (30, "default")
    changed = client.put(address, json={"value": 7}).json
    assert (changed["value"], changed["origin"]) == (7, "file")
    assert "trash_days = 7" in (tmp_path / "settings.toml").read_text()
    assert client.get(address).json == changed
    assert client.delete(address).json == before
    assert client.delete(address).json == before


@pytest.mark.parametrize("value", [-1, "x", [1], {"a": 1}, None])
def test_a_value_that_cannot_be_is_refused(client: FlaskClient, value: Any) -> None:
    answer = client.put("/api/v1/settings/gallery.trash_days", json={"value": value})
    assert (answer.status_code, answer.mimetype) == (422, "application/problem+json")


def test_an_unknown_setting_is_404(client: FlaskClient) -> None:
    assert client.get("/api/v1/settings/gallery.zzz").status_code == 404
    assert client.put("/api/v1/settings/gallery.zzz", json={"value": 1}).status_code == 404


def test_a_secret_is_never_told(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'studio.db'}?password=hush"
    overrides = {"jobs.database": url, "general.data_folder": str(tmp_path)}
    studio = Studio(Settings.load(file=tmp_path / "s.toml", environ={}, overrides=overrides))
    app = Flask("plain")
    app.register_blueprint(build(studio), url_prefix="/api/v1")
    answer = app.test_client().get("/api/v1/settings")
    assert b"hush" not in answer.data
    row = next(item for item in answer.json["items"] if item["key"] == "jobs.database")
    assert (row["value"], row["secret"], row["is_set"]) == (None, True, True)


@pytest.mark.parametrize(
    ("key", "value"),
    [("general.output_folder", "/"), ("general.data_folder", "/"), ("gallery.folders", ["/"]),
     ("web.host", "0.0.0.0"), ("jobs.database", "sqlite://"), ("saving.styles_files", ["/etc/passwd"]),
     ("adapters.read_pickles", True), ("saving.grid_font", "/etc/passwd"), ("api_a1111.server_stop", True),
     ("api_a1111.fetch_local_addresses", True), ("api_a1111.fetch_addresses", True),
     (" ADAPTERS.read_pickles", True)],
)  # fmt: skip
def test_who_is_elsewhere_changes_no_folders_and_no_guards(
    stranger: FlaskClient, key: str, value: Any
) -> None:
    assert stranger.put(f"/api/v1/settings/{key}", json={"value": value}).status_code == 403
    assert stranger.delete(f"/api/v1/settings/{key}").status_code == 403
    assert stranger.get(f"/api/v1/settings/{key}").json["writable"] is False
    assert stranger.put("/api/v1/settings/gallery.trash_days", json={"value": 3}).status_code == 200


def test_who_is_elsewhere_switches_no_plugins(stranger: FlaskClient, tmp_path: Path) -> None:
    for action in ("disable", "enable"):
        answer = stranger.post(f"/api/v1/plugins/grids/{action}")
        assert (answer.status_code, answer.mimetype) == (403, "application/problem+json")
    assert not (tmp_path / "settings.toml").exists()


def test_a_worker_is_not_torn_from_the_work_of_others(stranger: FlaskClient, studio: Studio) -> None:
    restart = "/api/v1/workers/device/restart"
    for user in ("anna", "berta"):
        studio.jobs.submit("generate", {"prompt": "a cat"}, user=user)
    own = begin(studio)
    assert stranger.post(f"{restart}?now=true").status_code == 404  # allowed, but no worker is started here
    own.finish("done")
    begin(studio)
    assert stranger.post(f"{restart}?now=true").status_code == 403
    assert stranger.post(restart).status_code == 404


def test_a_setting_that_is_called_a_token_is_never_told() -> None:
    assert is_secret("download.api_key", {})
    assert is_secret("hub.access_token", {})
    assert not is_secret("engine.device", {})


def test_who_is_elsewhere_is_told_no_places_of_models(stranger: FlaskClient, client: FlaskClient) -> None:
    assert stranger.get("/api/v1/models").json["items"][0]["path"] is None
    assert client.get("/api/v1/models").json["items"][0]["path"]


def test_a_plugin_is_switched_off_and_on_for_the_next_start(client: FlaskClient, tmp_path: Path) -> None:
    off = client.post("/api/v1/plugins/grids/disable").json
    assert (off["state"], off["enabled"], off["needs_restart"]) == ("active", False, True)
    assert Settings.load(file=tmp_path / "settings.toml", environ={}).plugins.disabled == ("grids",)
    on = client.post("/api/v1/plugins/grids/enable").json
    assert (on["enabled"], on["needs_restart"]) == (True, False)
    assert client.post("/api/v1/plugins/zzz/disable").status_code == 404
    assert client.post("/api/v1/plugins/ui_web/disable").status_code == 409


def test_memory_and_workers_are_told(client: FlaskClient) -> None:
    assert client.get("/api/v1/memory").json["total"] > 0
    assert client.get("/api/v1/workers").json["items"] == []
    assert client.post("/api/v1/workers/zzz/restart").status_code == 404
