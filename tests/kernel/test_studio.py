"""The facade holds together whatever single plugins do."""

from __future__ import annotations

import pytest

from sfumato import Studio
from sfumato.errors import UnknownName
from sfumato.plugins import PluginRecord, PluginState
from sfumato.settings import Settings

from .conftest import InstallPlugin

SECTION = """
    from pydantic import BaseModel, model_validator
    from sfumato.hookspecs import hookimpl

    SFUMATO_API = "1.0"

    class Sound(BaseModel):
        size: int = 1

    class Demanding(BaseModel):
        size: int

    class Contradictory(BaseModel):
        @model_validator(mode="after")
        def never(self):
            raise KeyError("nothing will do")

    @hookimpl
    def register_settings(sections):
        sections.add("sound", Sound, label="A sound one")
        sections.add("{name}", {target}, label="Another")
"""


def quarantined(install_plugin: InstallPlugin, name: str, target: str) -> PluginRecord:
    """What becomes of a plugin with such a section, in a studio that starts all the same."""
    install_plugin("brittle", SECTION.format(name=name, target=target))
    studio = Studio()
    record = studio.plugins.get("brittle")
    assert (record.state, record.stage) == (PluginState.QUARANTINED, "settings")
    assert "brittle" not in {entry.plugin for entry in studio.registries.settings}
    assert "sound.size" not in list(studio.settings.keys())
    assert studio.settings.general.default_model is None
    return record


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ("'no_such_module:Settings'", "cannot be loaded"),
        ("dict", "no pydantic model"),
        ("Sound()", "no pydantic model"),
        ("Demanding", "size"),
        ("Contradictory", "nothing will do"),
    ],
)
def test_a_plugin_whose_settings_cannot_be_had_is_quarantined(
    install_plugin: InstallPlugin, target: str, problem: str
) -> None:
    assert problem in quarantined(install_plugin, "brittle", target).problem


@pytest.mark.parametrize("name", ["general", "plugins", "file", "problems", "keys", "get", "with_sections"])
def test_a_plugin_whose_settings_would_hide_the_kernels_is_quarantined(
    install_plugin: InstallPlugin, name: str
) -> None:
    assert f"'{name}'" in quarantined(install_plugin, name, "Sound").problem


def test_an_unknown_backend_is_refused_by_name() -> None:
    with pytest.raises(UnknownName, match="local"):
        Studio().generate("a pear", backend="locale")


def test_two_studios_in_one_process_know_nothing_of_each_other(install_plugin: InstallPlugin) -> None:
    install_plugin("drift", SECTION.format(name="drift", target="Sound"))
    has_it, lacks_it = Studio(), Studio(Settings.load(overrides={"plugins.disabled": "drift"}))
    assert has_it.plugins.get("drift").state is PluginState.ACTIVE
    assert lacks_it.plugins.get("drift").state is PluginState.DISABLED
    assert ("drift" in has_it.registries.settings, "drift" in lacks_it.registries.settings) == (True, False)
    assert has_it.settings.drift.size == 1
    assert not hasattr(lacks_it.settings, "drift")
