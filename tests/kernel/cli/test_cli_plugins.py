"""`sfumato plugins`: the list, one plugin in full, on and off."""

from __future__ import annotations

import pytest

from ..conftest import InstallPlugin
from .conftest import Sfumato

BROKEN = "raise RuntimeError('out of ink')\n"


def test_the_list_tells_version_distribution_state_and_hooks(sfumato: Sfumato) -> None:
    (row,) = [line for line in sfumato("plugins").lines if line.startswith("tiny ")]
    for word in ("1.0", "tiny-dist", "active", "register_tasks", " ms"):
        assert word in row


def test_the_group_alone_lists(sfumato: Sfumato) -> None:
    listed = sfumato("plugins", "list", "--json").json
    alone = sfumato("plugins", "--json").json
    assert [item["name"] for item in listed] == [item["name"] for item in alone]


def test_show_tells_what_a_plugin_brings(sfumato: Sfumato) -> None:
    text = sfumato("plugins", "show", "tiny").out
    assert "tiny-dist 1.0" in text
    assert "tiny, other" not in text  # sorted by name
    assert "other, tiny" in text
    assert sfumato("plugins", "show", "tiny", "--json").json["contributions"]["models"] == ["dot"]


def test_a_quarantined_plugin_shows_its_traceback_and_a_way_forward(
    sfumato: Sfumato, install_plugin: InstallPlugin
) -> None:
    install_plugin("broken", BROKEN)
    outcome = sfumato("plugins", "show", "broken")
    assert outcome.code == 0
    for words in ("quarantined", "RuntimeError: out of ink", "Traceback", "sfumato plugins disable broken"):
        assert words in outcome.out
    assert sfumato("generate", "apple").code == 0


def test_disable_and_enable_are_remembered(sfumato: Sfumato, install_plugin: InstallPlugin) -> None:
    install_plugin("broken", BROKEN)

    def state() -> str:
        return str(sfumato("plugins", "show", "broken", "--json").json["state"])

    assert state() == "quarantined"
    assert sfumato("plugins", "disable", "broken").code == 0
    assert state() == "disabled"
    assert sfumato("plugins", "enable", "broken").code == 0
    assert state() == "quarantined"


def test_the_settings_of_a_disabled_plugin_do_not_fail(sfumato: Sfumato) -> None:
    sfumato("settings", "set", "tiny.dots", "5")
    sfumato("plugins", "disable", "tiny")
    assert sfumato("settings").code == 0


def test_an_unknown_plugin_offers_the_nearest(sfumato: Sfumato) -> None:
    outcome = sfumato("plugins", "disable", "tinny")
    assert outcome.code == 2
    assert "Did you mean tiny" in outcome.err


def test_an_environment_variable_that_wins_is_told(sfumato: Sfumato, monkeypatch: pytest.MonkeyPatch) -> None:
    disabled = ",".join(item["name"] for item in sfumato("plugins", "--json").json)
    monkeypatch.setenv("SFUMATO_PLUGINS__DISABLED", disabled)
    assert "SFUMATO_PLUGINS__DISABLED" in sfumato("plugins", "enable", "tiny").err


ADDING = """
from sfumato.hookspecs import hookimpl

SFUMATO_API = "1.0"


@hookimpl
def register_samplers(samplers):
    samplers.{verb}("swirl", "json:dumps", label="{label}")
"""


def test_what_replaces_what_is_told(sfumato: Sfumato, install_plugin: InstallPlugin) -> None:
    install_plugin("whirl", ADDING.format(verb="add", label="Swirl"))
    install_plugin("better", ADDING.format(verb="replace", label="Better swirl"))
    (sampler,) = sfumato("samplers", "--json").json
    assert (sampler["label"], sampler["plugin"], sampler["replaces"]) == ("Better swirl", "better", "whirl")
    shown = sfumato("plugins", "show", "better", "--json").json
    assert shown["replaces"] == ["sampler 'swirl' of plugin 'whirl'"]
    sfumato("plugins", "disable", "better")
    (sampler,) = sfumato("samplers", "--json").json
    assert (sampler["label"], sampler["replaces"]) == ("Swirl", "")


def test_patience_is_a_setting(sfumato: Sfumato, install_plugin: InstallPlugin) -> None:
    install_plugin("stuck", "while True: pass")
    shown = sfumato("--set", "plugins.patience=0.5", "plugins", "show", "stuck")
    assert "did not return within 0.5 seconds" in shown.out
    assert "stuck_dist.py" in shown.out
