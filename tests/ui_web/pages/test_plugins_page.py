"""The page Plugins: states, reasons, and what waits for a restart."""

from __future__ import annotations

from pathlib import Path

from flask.testing import FlaskClient

from sfumato.settings import Settings
from sfumato.studio import Studio
from sfumato_ui_web.app import create_app
from sfumato_ui_web.pages.plugin_cards import plugin_cards


def studio_in(folder: Path, **overrides: str) -> Studio:
    given = {"general.data_folder": str(folder), **overrides}
    return Studio(Settings.load(file=folder / "settings.toml", environ={}, overrides=given))


def test_a_quarantined_plugin_comes_first_with_reason_traceback_and_advice(tmp_path: Path) -> None:
    studio = studio_in(tmp_path)
    try:
        raise RuntimeError("the flux <capacitor> is empty")
    except RuntimeError as error:
        studio.plugins.quarantine("grids", "register_tasks", error, studio.registries)
    first = plugin_cards(studio)[0]
    assert (first.record.name, first.state) == ("grids", "quarantined")
    text = create_app(studio).test_client().get("/plugins/").get_data(as_text=True)
    assert "the flux &lt;capacitor&gt; is empty" in text
    assert "Traceback" in text
    assert "sfumato plugins disable grids" in text


def test_switching_off_waits_for_a_restart(studio: Studio, client: FlaskClient) -> None:
    assert 'plugins-restart" role="status" hidden' in client.get("/plugins/").get_data(as_text=True)
    assert client.post("/api/v1/plugins/grids/disable").status_code == 200
    card = next(card for card in plugin_cards(studio) if card.record.name == "grids")
    assert (card.state, card.wanted, card.changes_at_restart) == ("active", False, True)
    text = client.get("/plugins/").get_data(as_text=True)
    assert "off after a restart" in text
    assert client.post("/api/v1/plugins/grids/enable").status_code == 200
    assert "off after a restart" not in client.get("/plugins/").get_data(as_text=True)


def test_a_plugin_that_is_off_is_listed_last_and_can_be_wanted(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text('[plugins]\ndisabled = ["adapters"]\n')
    cards = plugin_cards(studio_in(tmp_path))
    assert (cards[-1].record.name, cards[-1].state, cards[-1].changes_at_restart) == (
        "adapters",
        "disabled",
        False,
    )


def test_what_a_plugin_brings_is_told_by_registry(studio: Studio) -> None:
    card = next(card for card in plugin_cards(studio) if card.record.name == "grids")
    brought = {one.kind: [name for name, _ in one.entries] for one in card.brought}
    assert brought["tasks"] == ["grid"]
    assert "grid" in card.search_text


def test_the_web_interface_cannot_be_switched_off_here(client: FlaskClient) -> None:
    text = client.get("/plugins/").get_data(as_text=True)
    assert "Use the plugin grids" in text
    assert "Use the plugin ui_web" not in text
