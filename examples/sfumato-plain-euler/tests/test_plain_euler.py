from typing import Any

from sfumato.registry import Entry
from sfumato.testing import PluginContract, SamplerContract


class TestPlugin(PluginContract):
    name = "plain_euler"


class TestEuler(SamplerContract):
    name = "euler"

    def test_it_took_the_place_of_the_bundled_one(self, entry: Entry[Any]) -> None:
        assert entry.plugin == "plain_euler"
        assert entry.info.label == "Euler"
        assert entry.info.options == ()
