"""The plugin as a whole keeps the contract."""

from __future__ import annotations

from sfumato.testing import PluginContract


class TestPlugin(PluginContract):
    name = "word_colours"
