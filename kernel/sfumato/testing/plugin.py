"""The contract of a plugin as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, ClassVar

import pytest

from sfumato.plugins import PluginRecord, PluginState
from sfumato.registry import Entry, Registry
from sfumato.testing.entries import Installation, InstalledContract, heavy_imports_of

LISTING = """
from sfumato.plugins import PluginManager
from sfumato.registries import Registries
manager = PluginManager(disabled=sys.argv[1:])
manager.discover()
manager.fill(Registries())
"""


class PluginContract(InstalledContract):
    """An installed plugin is found through its entry point, active, cheap to list, and whole.

    Attributes:
        name: Of its entry point, as `sfumato plugins` lists it.
    """

    name: ClassVar[str]

    @pytest.fixture(scope="class")
    @classmethod
    def record(cls, installation: Installation) -> PluginRecord:
        return installation.plugins.get(cls.name)

    def contributions(self, installation: Installation) -> Iterator[tuple[Registry[Any], Entry[Any]]]:
        """Everything it registered, with where."""
        for field in fields(installation.registries):
            registry: Registry[Any] = getattr(installation.registries, field.name)
            yield from ((registry, entry) for entry in registry if entry.plugin == self.name)

    def test_it_is_active(self, record: PluginRecord) -> None:
        assert record.state is PluginState.ACTIVE, f"{record.stage}: {record.problem}\n{record.traceback}"
        assert record.version

    def test_every_hook_of_its_registers_something(
        self, installation: Installation, record: PluginRecord
    ) -> None:
        assert record.hooks
        for hook in record.hooks:
            registry = installation.registries.for_hook(hook)
            assert registry is None or any(entry.plugin == self.name for entry in registry), hook

    def test_listing_what_it_brings_imports_nothing_heavy(self, installation: Installation) -> None:
        others = [record.name for record in installation.plugins if record.name != self.name]
        assert heavy_imports_of(LISTING, *others) == set()

    def test_the_code_behind_every_entry_is_there(self, installation: Installation) -> None:
        registries = installation.registries
        for registry, entry in self.contributions(installation):
            if registry in (registries.models, registries.catalogues):
                assert Path(entry.target).exists(), entry.info.name
            else:
                assert callable(entry.load()), entry.info.name

    def test_every_spelling_finds_its_entry(self, installation: Installation) -> None:
        for registry, entry in self.contributions(installation):
            for spelling in (entry.info.name, entry.info.label, *entry.info.aliases):
                assert registry.get(spelling).info.name == entry.info.name

    def test_every_entry_has_a_label_and_a_summary(self, installation: Installation) -> None:
        for _, entry in self.contributions(installation):
            assert entry.info.label.strip(), entry.info.name
            assert getattr(entry.info, "summary", "-").strip(), entry.info.name
