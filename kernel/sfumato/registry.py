"""Named things contributed by plugins: samplers, schedulers, model families, weight formats, tasks ...

A registry refuses duplicates, knows who contributed each entry, and imports an entry's code only when it is
used: plugins register text such as ``"sfumato_samplers.euler:euler"``.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from sfumato.errors import BadInput, PluginError, UnknownName


class Described(Protocol):
    """What every registry entry's description has."""

    @property
    def name(self) -> str: ...

    @property
    def aliases(self) -> tuple[str, ...]: ...


Info = TypeVar("Info", bound=Described)


@dataclass(frozen=True)
class Entry(Generic[Info]):
    """One registered thing: its description, where its code is, and the plugin it came from."""

    info: Info
    target: Any
    plugin: str

    def load(self) -> Any:
        """Import and return the code behind this entry.

        Raises:
            PluginError: the target does not import or does not exist; the plugin's own exception is its
            cause.
        """
        if not isinstance(self.target, str):
            return self.target
        module_name, _, attribute = self.target.partition(":")
        try:
            return getattr(importlib.import_module(module_name), attribute)
        except (Exception, SystemExit) as error:  # a plugin's module may fail in any way while it is imported
            raise PluginError(
                f"'{self.info.name}' from plugin '{self.plugin}' cannot be loaded.",
                why=f"{self.target}: {type(error).__name__}: {error}.",
                hint=f"Reinstall the plugin, or run 'sfumato plugins show {self.plugin}'.",
            ) from error


class Registry(Generic[Info]):
    """Entries of one kind by name; every alias and label finds the same entry, letter case aside.

    Args:
        kind: What an entry is called in messages ("sampler").
        describe: Builds the description from the keyword arguments of `Registrar.add`.
        listing: The command that lists the entries, if there is one.
    """

    def __init__(self, kind: str, describe: Callable[..., Info], listing: str = "") -> None:
        self.kind = kind
        self._describe = describe
        self._listing = listing
        self._entries: dict[str, Entry[Info]] = {}
        self._names: dict[str, str] = {}

    def registrar(self, plugin: str) -> Registrar[Info]:
        """The view a plugin gets: additions are kept back until `Registrar.commit`."""
        return Registrar(self, plugin)

    def describe(self, name: str, **fields: Any) -> Info:
        return self._describe(name=name, **fields)

    def admit(self, entries: list[Entry[Info]]) -> None:
        """Take all of `entries`, or none.

        Raises:
            BadInput: a name or alias is taken already.
        """
        names, known = dict(self._names), dict(self._entries)
        for entry in entries:
            for spelling in {_key(s) for s in _spellings(entry.info)}:
                if spelling in names:
                    owner = known[names[spelling]].plugin
                    raise BadInput(
                        f"The {self.kind} name '{spelling}' is taken.",
                        why=f"Plugin '{owner}' already registered it; '{entry.plugin}' wants it too.",
                        hint=f"Keep one of them: sfumato plugins disable {owner}, or {entry.plugin}.",
                    )
                names[spelling] = entry.info.name
            known[entry.info.name] = entry
        self._names, self._entries = names, known

    def withdraw(self, plugin: str) -> None:
        """Forget everything a plugin contributed."""
        self._entries = {name: entry for name, entry in self._entries.items() if entry.plugin != plugin}
        self._names = {spelling: name for spelling, name in self._names.items() if name in self._entries}

    def get(self, name: str) -> Entry[Info]:
        """The entry for a name, label or alias.

        Raises:
            UnknownName: nothing answers to it; the error offers the nearest names.
        """
        found = self._names.get(_key(name))
        if found is None:
            spellings = [s for entry in self for s in (entry.info.name, *_labels(entry.info))]
            hint = f"'{self._listing}' lists them all."
            if not (spellings and self._listing):
                hint = "A plugin that brings it may be switched off or broken: 'sfumato plugins' tells."
            raise UnknownName(self.kind, name, spellings, hint=hint)
        return self._entries[found]

    def __iter__(self) -> Iterator[Entry[Info]]:
        return iter([self._entries[name] for name in sorted(self._entries)])

    def __contains__(self, name: str) -> bool:
        return _key(name) in self._names

    def __len__(self) -> int:
        return len(self._entries)


class Registrar(Generic[Info]):
    """Collects one plugin's entries for one registry, so that a plugin failing midway leaves no trace."""

    def __init__(self, registry: Registry[Info], plugin: str) -> None:
        self._registry = registry
        self._plugin = plugin
        self._pending: list[Entry[Info]] = []

    def add(self, name: str, target: Any, **fields: Any) -> None:
        """Offer an entry.

        Args:
            name: Permanent lower_snake name; images and settings store it.
            target: The code as ``"package.module:attribute"`` (imported on use), or the object itself.
            fields: The rest of the description; see the registry's info type.

        Raises:
            BadInput: the name is not lower_snake.
        """
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            raise BadInput(
                f"'{name}' is not a permanent name.", hint="Use lower_snake: letters, digits and _."
            )
        info = self._registry.describe(name, **fields)
        self._pending.append(Entry(info, target, self._plugin))

    def commit(self) -> None:
        """Hand the collected entries to the registry, all or none."""
        self._registry.admit(self._pending)
        self._pending = []


def _labels(info: Described) -> tuple[str, ...]:
    label = getattr(info, "label", "")
    return (label,) if label else ()


def _spellings(info: Described) -> tuple[str, ...]:
    return (info.name, *_labels(info), *info.aliases)


def _key(name: str) -> str:
    return name.strip().lower()
