"""The page Settings: every value with where it comes from, and no secret."""

from __future__ import annotations

import re
from pathlib import Path

from flask.testing import FlaskClient

from sfumato.settings import Settings
from sfumato.studio import Studio
from sfumato_ui_web.app import create_app
from sfumato_ui_web.pages.setting_rows import setting_sections


def row(text: str, key: str) -> str:
    """The HTML of one setting."""
    found = re.search(rf'<div class="setting[^>]*data-key="{re.escape(key)}".*?</button>', text, re.DOTALL)
    assert found, key
    return found[0]


def test_every_setting_has_a_labelled_control(client: FlaskClient, studio: Studio) -> None:
    text = client.get("/settings/").get_data(as_text=True)
    for key in studio.settings.keys():  # noqa: SIM118
        html = row(text, key)
        name = f"setting-{key.replace('.', '-')}"
        assert f'for="{name}"' in html
        assert f'id="{name}"' in html


def test_where_a_value_comes_from_is_told_as_it_is_now(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    overrides = {"general.data_folder": str(tmp_path)}
    environ = {"SFUMATO_ENGINE__DTYPE": "float32"}
    studio = Studio(Settings.load(file=file, environ=environ, overrides=overrides))
    client = create_app(studio).test_client()
    file.write_text("[web]\nthreads = 12\n")  # after the server had started
    text = client.get("/settings/").get_data(as_text=True)
    assert 'data-origin="file"' in row(text, "web.threads")
    assert 'value="12"' in row(text, "web.threads")
    assert 'data-origin="environment"' in row(text, "engine.dtype")
    assert "overridden" in row(text, "engine.dtype")
    assert "SFUMATO_ENGINE__DTYPE" in row(text, "engine.dtype")
    assert 'data-origin="command line"' in row(text, "general.data_folder")
    assert 'data-origin="default"' in row(text, "web.port")
    state = client.get("/settings/state/web.threads").json
    assert (state["value"], state["default"], state["origin"]) == (12, 8, "file")
    assert client.get("/settings/state/web.nothing").status_code == 404


def test_a_secret_never_reaches_the_browser(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/hush.db"
    studio = Studio(Settings.load(file=tmp_path / "s.toml", environ={}, overrides={"jobs.database": url}))
    client = create_app(studio).test_client()
    assert "hush.db" not in client.get("/settings/").get_data(as_text=True)
    assert client.get("/settings/state/jobs.database").json["value"] is None


def test_what_the_server_reads_at_its_start_is_told_apart(studio: Studio) -> None:
    applies = {row.key: row.applies for section in setting_sections(studio) for row in section.rows}
    assert applies["web.port"] == "server"
    assert applies["engine.keep_models"] == "worker"


def test_a_file_that_is_wrong_is_told_and_the_page_still_answers(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    overrides = {"general.data_folder": str(tmp_path)}
    client = create_app(Studio(Settings.load(file=file, environ={}, overrides=overrides))).test_client()
    file.write_text("[web]\nthreads = 'many'\n[unheard_of]\nx = 1\n")
    answer = client.get("/settings/")
    assert answer.status_code == 200
    text = answer.get_data(as_text=True)
    assert "cannot be &#39;many&#39;" in text
    assert "unheard_of.x" in text
