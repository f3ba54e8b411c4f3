"""The facade holds together whatever single plugins do."""

from __future__ import annotations

import pytest

from sfumato import Studio
from sfumato.errors import UnknownName
from sfumato.plugins import PluginState

from .conftest import InstallPlugin

HOLLOW_SETTINGS = """
    from sfumato.hookspecs import hookimpl

    SFUMATO_API = "1.0"

    @hookimpl
    def register_settings(sections):
        sections.add("hollow", "no_such_module:Settings", label="Hollow")
"""


def test_a_plugin_whose_settings_cannot_be_had_is_quarantined(install_plugin: InstallPlugin) -> None:
    install_plugin("hollow", HOLLOW_SETTINGS)
    studio = Studio()
    record = studio.plugins.get("hollow")
    assert (record.state, record.stage) == (PluginState.QUARANTINED, "settings")
    assert "hollow" not in studio.registries.settings


def test_an_unknown_backend_is_refused_by_name() -> None:
    with pytest.raises(UnknownName, match="local"):
        Studio().generate("a pear", backend="locale")


def test_two_studios_in_one_process_know_nothing_of_each_other(install_plugin: InstallPlugin) -> None:
    before = Studio()
    install_plugin("hollow", HOLLOW_SETTINGS)
    Studio()
    assert "hollow" not in [record.name for record in before.plugins]
