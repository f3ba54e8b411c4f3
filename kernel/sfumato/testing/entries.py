"""What every registered thing promises: it is there, it explains itself, and its code loads."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from typing import Any, ClassVar

import pytest

from sfumato.errors import UnknownName
from sfumato.plugins import PluginManager
from sfumato.registries import Registries
from sfumato.registry import Entry
from sfumato.sampling import Option

HEAVY = frozenset({"torch", "numpy", "scipy", "PIL", "flask", "diffusers", "transformers", "safetensors"})
"""What listing and detecting must not import: each costs a tenth of a second to seconds."""


class Installation:
    """The plugins that are installed here and what they brought, whatever settings say."""

    def __init__(self) -> None:
        self.plugins = PluginManager()
        self.plugins.discover()
        self.registries = Registries()
        self.plugins.fill(self.registries)

    @property
    def failures(self) -> str:
        """The tracebacks of all quarantined plugins, to be shown when something is missing."""
        return "\n".join(
            f"Plugin '{record.name}' is quarantined ({record.stage}):\n{record.traceback}"
            for record in self.plugins.quarantined
        )


class InstalledContract:
    """The plugins installed here, gathered once a class."""

    @pytest.fixture(scope="class")
    @classmethod
    def installation(cls) -> Installation:
        return Installation()


class EntryContract(InstalledContract):
    """The part that all contracts of registered things share.

    Attributes:
        registry: Where the thing is registered: the `<things>` of its ``register_<things>`` hook.
        name: The name under which the plugin registers it.
        options: Values for its options where the defaults do not suit a tiny test.
    """

    registry: ClassVar[str]
    name: ClassVar[str]
    options: ClassVar[Mapping[str, Any]] = {}

    @pytest.fixture(scope="class")
    @classmethod
    def registries(cls, installation: Installation) -> Registries:
        return installation.registries

    @pytest.fixture(scope="class")
    @classmethod
    def entry(cls, installation: Installation) -> Entry[Any]:
        """What is tested. A class may override this to test many things, one a parameter."""
        try:
            found: Entry[Any] = getattr(installation.registries, cls.registry).get(cls.name)
        except UnknownName as error:
            pytest.fail(f"{error}\n{installation.failures}")
        return found

    @pytest.fixture
    def given_options(self, entry: Entry[Any]) -> dict[str, Any]:
        """The defaults of its options, with those of the class."""
        return {**{option.name: option.default for option in entry.info.options}, **self.options}

    def test_every_spelling_of_its_name_finds_it(self, entry: Entry[Any], registries: Registries) -> None:
        registry = getattr(registries, self.registry)
        for spelling in (entry.info.name, entry.info.label, *entry.info.aliases):
            assert registry.get(spelling).info.name == entry.info.name

    def test_it_explains_itself(self, entry: Entry[Any]) -> None:
        assert entry.info.label.strip()
        assert getattr(entry.info, "summary", "-").strip(), "one sentence: when to choose it"
        for option in getattr(entry.info, "options", ()):
            assert option.description.strip(), f"option {option.name}"

    def test_the_defaults_of_its_options_are_allowed(self, entry: Entry[Any]) -> None:
        for option in getattr(entry.info, "options", ()):
            assert not option.choices or option.default in option.choices, option.name
            if isinstance(option.default, (int, float)):
                assert option.minimum is None or option.minimum <= option.default, option.name
                assert option.maximum is None or option.default <= option.maximum, option.name

    def test_its_code_loads(self, entry: Entry[Any]) -> None:
        assert callable(entry.load())


def extreme_values(option: Option) -> list[float | int | bool | str]:
    """An option at its bounds, and at each of its choices."""
    if isinstance(option.default, bool):
        return [False, True]
    bounds = [bound for bound in (option.minimum, option.maximum) if bound is not None]
    if isinstance(option.default, int):
        return [int(bound) for bound in bounds]
    return [*bounds, *option.choices]


def heavy_imports_of(code: str, *arguments: str) -> set[str]:
    """Which heavy libraries a program of its own has imported once `code` has run.

    Args:
        code: May use ``sys.argv[1:]``; its output is passed over.
    """
    ending = f"\nimport sys\nprint('\\nimported:', *sorted({set(HEAVY)!r} & set(sys.modules)))"
    # The path of this process too: plugins under test may lie in a folder that a test put there.
    start = f"import sys\nsys.path[:] = {sys.path!r}\n"
    run = subprocess.run(
        [sys.executable, "-c", start + code + ending, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    return set(run.stdout.rpartition("imported:")[2].split())
