"""The page System: memory samples, logs, checks, versions."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from flask import g
from flask.testing import FlaskClient

from sfumato.jobs.logs import log_path
from sfumato.memory import DeviceMemory, MemorySnapshot
from sfumato.memory_log import MemoryLog
from sfumato.settings import Settings
from sfumato.studio import Studio
from sfumato_ui_web.app import create_app
from sfumato_ui_web.pages.checks import Checks, environment_of
from sfumato_ui_web.pages.machine import LOG_BYTES, database_size, folders, log_tail


def test_memory_is_told_as_it_was_recorded(studio: Studio, client: FlaskClient) -> None:
    now = time.time()
    device = DeviceMemory(device="cuda:0", label="A GPU", total=10, free=4, allocated=3, reserved=5)
    log = MemoryLog(studio.database)
    log.add(MemorySnapshot(at=now - 100, total=9, available=5, process=2, process_id=7, devices=(device,)))
    log.add(MemorySnapshot(at=now - 4000, total=9, available=5, process=1, process_id=7))
    told = client.get("/system/memory?seconds=1800").json
    assert [sample["process"] for sample in told["samples"]] == [2]
    assert told["samples"][0]["devices"][0]["reserved"] == 5
    assert 0 < told["available"] <= told["total"]
    assert len(client.get("/system/memory?seconds=86400").json["samples"]) == 2
    assert client.get("/system/memory?seconds=12345").json["seconds"] == 1800


@pytest.fixture
def log(studio: Studio) -> Path:
    """The log file of the worker process that has the device."""
    file = log_path(studio.settings.general.data_folder, "device")
    file.parent.mkdir(parents=True)
    return file


def test_the_end_of_a_log_is_shown_in_whole_lines(studio: Studio, log: Path) -> None:
    lines = [f"line {number:06}" for number in range(20_000)]
    log.write_text("\n".join(lines) + "\n")
    text = log_tail(studio, "device")
    assert text is not None
    assert text.splitlines() == lines[-len(text.splitlines()) :]
    assert len(text) <= LOG_BYTES


def test_no_other_file_is_shown_and_nobody_elsewhere_sees_a_log(
    studio: Studio, client: FlaskClient, log: Path
) -> None:
    log.write_text("what others draw\n")
    assert client.get("/system/log/device").json["text"] == "what others draw\n"
    for lane in ("nothing", "..%2f..%2fetc%2fpasswd", "../settings.toml"):
        assert client.get(f"/system/log/{lane}").status_code == 404
    app = create_app(studio)
    app.before_request(lambda: setattr(g, "user", "anna"))
    assert app.test_client().get("/system/log/device").status_code == 403


def test_a_process_for_the_checks_gets_the_settings_of_this_one(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text("[web]\nthreads = 12\n")
    overrides = {"general.model_folders": f"{tmp_path}/a, {tmp_path}/b", "plugins.disabled": "grids"}
    settings = Studio(Settings.load(file=file, environ={}, overrides=overrides)).settings
    variables = environment_of(settings)
    read = Settings.load(environ=variables)
    assert read.general.model_folders == settings.general.model_folders
    assert read.plugins.disabled == ("grids",)
    assert read.file == file
    assert "SFUMATO_WEB__THREADS" not in variables


def test_the_checks_run_beside_the_server(tmp_path: Path) -> None:
    overrides = {"general.data_folder": str(tmp_path), "general.output_folder": str(tmp_path)}
    studio = Studio(Settings.load(file=tmp_path / "s.toml", environ={}, overrides=overrides))
    checks = Checks(studio)
    assert checks.found()["state"] == "never"
    checks.start()
    checks.start()  # once is enough
    end = time.monotonic() + 120
    while checks.found()["state"] == "running" and time.monotonic() < end:
        time.sleep(0.1)
    found = checks.found()
    assert found["problem"] == ""
    assert {"system", "plugins", "folders", "torch"} <= {check["name"] for check in found["checks"]}


def test_folders_and_the_database_are_told_with_their_sizes(studio: Studio, client: FlaskClient) -> None:
    studio.jobs.submit("generate", {"prompt": "a pear"})
    size = database_size(studio)
    assert size is not None
    assert size >= (studio.settings.general.data_folder / "studio.db").stat().st_size > 0
    told = list(folders(studio))
    assert [folder.label for folder in told] == ["Pictures", "Data", "Models"]
    assert all(0 < folder.free <= folder.total for folder in told)
    assert str(told[0].path) in client.get("/system/").get_data(as_text=True)
