"""Named things contributed by plugins: samplers, schedulers, model families, weight formats, tasks ...

A registry refuses duplicates, knows who contributed each entry, and imports an entry's code only when it is
used: plugins register text such as ``"sfumato_samplers.euler:euler"``. An entry of another plugin is replaced
by saying so; it comes back when the plugin that replaced it is taken out.
"""

from __future__ import annotations

import contextlib
import importlib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from sfumato.errors import BadInput, PluginError, SfumatoError, UnknownName
from sfumato.watchdog import in_one_line


class Described(Protocol):
    """What every registry entry's description has."""

    @property
    def name(self) -> str: ...

    @property
    def aliases(self) -> tuple[str, ...]: ...


Info = TypeVar("Info", bound=Described)


@dataclass(frozen=True)
class Entry(Generic[Info]):
    """One registered thing: its description, where its code is, and the plugin it came from.

    Attributes:
        replaces: The plugin whose entry of this name it stands in for, if any.
    """

    info: Info
    target: Any
    plugin: str
    replaces: str = ""

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
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a plugin's module may fail in any way while it is imported
            raise PluginError(
                f"'{self.info.name}' from plugin '{self.plugin}' cannot be loaded.",
                why=f"{self.target}: {in_one_line(error)}.",
                hint=f"Reinstall the plugin, or run 'sfumato plugins show {self.plugin}'.",
            ) from error

    @contextlib.contextmanager
    def answerable(self, task: str) -> Iterator[None]:
        """Within this its code runs; whatever that raises, exit() too, becomes an error that names it.

        Args:
            task: What it is to do, as it follows "cannot": "read 'x.safetensors'".

        Raises:
            PluginError: it raised something else than an error for people or of the system.
        """
        try:
            yield
        except (KeyboardInterrupt, SfumatoError, OSError):
            raise
        except BaseException as error:
            raise PluginError(
                f"'{self.info.name}' from plugin '{self.plugin}' cannot {task}.",
                why=f"{in_one_line(error)}.",
                hint=f"Tell the plugin's author, or switch it off: sfumato plugins disable {self.plugin}",
            ) from error


@dataclass(frozen=True)
class Replacement:
    """A wish to stand in for another plugin's entry; what `fields` leave out stays as it is there."""

    name: str
    target: Any
    plugin: str
    fields: dict[str, Any] = field(default_factory=dict)


class Registry(Generic[Info]):
    """Entries of one kind by name; every alias and label finds the same entry, letter case aside.

    Args:
        kind: What an entry is called in messages ("sampler").
        describe: Builds the description from the keyword arguments of `Registrar.add`.
        listing: The command that lists the entries, if there is one.

    Attributes:
        absent: Plugins that are installed but take no part; one of them may bring a name that is missed.
    """

    def __init__(self, kind: str, describe: Callable[..., Info], listing: str = "") -> None:
        self.kind = kind
        self._describe = describe
        self._listing = listing
        self.absent: tuple[str, ...] = ()
        self._added: dict[str, Entry[Info]] = {}
        self._replacements: dict[str, Replacement] = {}
        self._standing_in: dict[str, Entry[Info]] = {}
        self._withdrawn: dict[str, str] = {}
        self._put_in_force()

    def registrar(self, plugin: str) -> Registrar[Info]:
        """The view a plugin gets: additions are kept back until `Registrar.commit`."""
        return Registrar(self, plugin)

    def describe(self, name: str, **fields: Any) -> Info:
        """Raises `UnknownName` for a field that the description does not have: misspelt, it would be lost."""
        known = getattr(self._describe, "model_fields", fields)
        for given in fields:
            if given not in known:
                raise UnknownName(f"field of a {self.kind}", given, known)
        return self._describe(name=name, **fields)

    def admit(self, entries: Iterable[Entry[Info]], replacements: Iterable[Replacement] = ()) -> None:
        """Take all of `entries` and `replacements`, or none; these are in force once `settle` was called.

        Raises:
            BadInput: a name or alias is taken, or an entry replaced, already.
        """
        claims, added, replaced = self._claims(), dict(self._added), dict(self._replacements)
        for entry in entries:
            self._check_free(entry, claims)
            claims.update(dict.fromkeys(_spellings(entry.info), entry))
            added[entry.info.name] = entry
        for wish in replacements:
            if wish.name in replaced:
                other = replaced[wish.name].plugin
                raise BadInput(
                    f"The {self.kind} '{wish.name}' is replaced already.",
                    why=f"Plugin '{other}' replaces it; '{wish.plugin}' wants to as well.",
                    hint=_keep_one(other, wish.plugin),
                )
            replaced[wish.name] = wish
        self._added, self._replacements = added, replaced
        self._put_in_force()

    def settle(self) -> dict[str, Exception]:
        """Put the replacements in force; to be called when all plugins have registered, in whatever order.

        Returns:
            Plugins whose replacement cannot be, with the reason. Once they are withdrawn, this is to be
            called again: one of their own entries may have been replaced.
        """
        failures: dict[str, Exception] = {}
        for wish in self._replacements.values():
            try:
                self._standing_in[wish.name] = self._stand_in(wish)
            except Exception as error:  # a description that does not fit, too
                failures[wish.plugin] = error
        self._put_in_force()
        return failures

    def withdraw(self, plugin: str) -> None:
        """Forget everything a plugin contributed; what it replaced is back."""
        gone = {spelling: plugin for spelling, entry in self._claims().items() if entry.plugin == plugin}
        self._withdrawn.update(gone)
        self._added = {name: entry for name, entry in self._added.items() if entry.plugin != plugin}
        self._replacements = {
            name: wish for name, wish in self._replacements.items() if wish.plugin != plugin
        }
        self._standing_in = {
            name: entry for name, entry in self._standing_in.items() if entry.plugin != plugin
        }
        self._put_in_force()

    def _put_in_force(self) -> None:
        """Work out what is found under which name."""
        self._entries = {name: self._standing_in.get(name, entry) for name, entry in self._added.items()}
        self._names = {key: name for name, entry in self._entries.items() for key in _spellings(entry.info)}

    def _claims(self) -> dict[str, Entry[Info]]:
        """Whose each spelling is; those of replaced entries are kept for them, who may come back."""
        entries = [*self._standing_in.values(), *self._added.values()]
        return {key: entry for entry in entries for key in _spellings(entry.info)}

    def _check_free(self, entry: Entry[Info], claims: dict[str, Entry[Info]]) -> None:
        for spelling in sorted(_spellings(entry.info) & claims.keys()):
            owner = claims[spelling].plugin
            raise BadInput(
                f"The {self.kind} name '{spelling}' is taken.",
                why=f"Plugin '{owner}' already registered it; '{entry.plugin}' wants it too.",
                hint=_keep_one(owner, entry.plugin),
            )

    def _stand_in(self, wish: Replacement) -> Entry[Info]:
        base = self._added.get(wish.name)
        if base is None:
            hint = self._whereabouts(wish.name) or "What is not there yet is added, not replaced."
            raise UnknownName(self.kind, wish.name, self._added, hint=hint)
        if base.plugin == wish.plugin:
            raise BadInput(f"The {self.kind} '{wish.name}' is its own.", hint="Add it once, as it shall be.")
        info = self.describe(**{**vars(base.info), **wish.fields})
        entry = Entry(info, wish.target, wish.plugin, replaces=base.plugin)
        others = {key: other for key, other in self._claims().items() if other.info.name != wish.name}
        self._check_free(entry, others)
        return entry

    def get(self, name: str) -> Entry[Info]:
        """The entry for a name, label or alias.

        Raises:
            UnknownName: nothing answers to it; the error offers the nearest names, and tells of the plugin
            that is known to bring it, or might.
        """
        found = self._names.get(_key(name))
        if found is None:
            spellings = [s for entry in self for s in (entry.info.name, *_labels(entry.info))]
            raise UnknownName(self.kind, name, spellings, hint=self._what_to_do_without(name))
        return self._entries[found]

    def _what_to_do_without(self, name: str) -> str:
        whereabouts = self._whereabouts(name)
        if not self._entries:
            which = "active" if self.absent else "installed"
            return f"No {which} plugin brings any {self.kind}: see 'sfumato plugins'. {whereabouts}".strip()
        if self._listing:
            return f"{whereabouts} '{self._listing}' lists them all.".strip()
        return whereabouts or "Its plugin may not be installed: 'sfumato plugins' lists those that are."

    def _whereabouts(self, name: str) -> str:
        """Which plugin is to be mended or switched on for it to be there."""
        broken = self._withdrawn.get(_key(name))
        if broken:
            return f"Plugin '{broken}' brings it, but is quarantined."
        if not self.absent:
            return ""
        return f"It may come from a plugin that is switched off or broken: {', '.join(self.absent)}."

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
        self._replacements: list[Replacement] = []
        self._open = True

    def add(self, name: str, target: Any, **fields: Any) -> None:
        """Offer an entry.

        Args:
            name: Permanent lower_snake name; images and settings store it.
            target: The code as ``"package.module:attribute"`` (imported on use), or the object itself.
            fields: The rest of the description; see the registry's info type.

        Raises:
            BadInput: the name is not lower_snake, or there is no target.
            PluginError: registration is over.
        """
        self._check(name, target)
        info = self._registry.describe(name, **fields)
        self._pending.append(Entry(info, target, self._plugin))

    def replace(self, name: str, target: Any, **fields: Any) -> None:
        """Stand in for the entry of that name that another plugin adds, whether it was called before or not.

        Should this plugin be taken out, the other's entry is back. Two plugins cannot replace the same entry.

        Args:
            name: The permanent name of what is replaced.
            target: As for `add`.
            fields: What differs in the description; all else stays, label and aliases as well.

        Raises:
            BadInput: the name is not lower_snake, or there is no target.
            PluginError: registration is over.
        """
        self._check(name, target)
        self._replacements.append(Replacement(name, target, self._plugin, fields))

    def _check(self, name: str, target: Any) -> None:
        if not self._open:
            raise PluginError(
                f"'{name}' comes too late: registration is over.", hint="Register within the hook."
            )
        if not re.fullmatch(r"[a-z][a-z0-9_]*", str(name)):
            raise BadInput(
                f"'{name}' is not a permanent name.", hint="Use lower_snake: letters, digits and _."
            )
        if target is None or isinstance(target, (int, float, bytes, list, tuple, dict)):
            raise BadInput(
                f"'{name}' cannot have the target {target!r:.80}.",
                hint='Give the code as text, "package.module:attribute", or the object itself.',
            )

    def commit(self) -> None:
        """Hand what was collected to the registry, all or none; from then on nothing more is taken."""
        self.close()
        self._registry.admit(self._pending, self._replacements)

    def close(self) -> None:
        """Take nothing more: a thread that a plugin left behind comes too late."""
        self._open = False


def _keep_one(owner: str, other: str) -> str:
    """What to do about two claims to one name."""
    if owner == other:
        return "It is one plugin that says so twice: its author has to choose."
    return f"Keep one of them: sfumato plugins disable {owner}, or {other}."


def _labels(info: Described) -> tuple[str, ...]:
    label = getattr(info, "label", "")
    return (label,) if label else ()


def _spellings(info: Described) -> set[str]:
    """All that finds it, letter case aside."""
    return {_key(spelling) for spelling in (info.name, *_labels(info), *info.aliases)} - {""}


def _key(name: str) -> str:
    return name.strip().lower()
