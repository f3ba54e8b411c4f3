"""Finding, checking, loading and quarantining plugins.

A plugin is a module named by an entry point of group `sfumato`. It is registered with pluggy, in name order.
One that fails to import, asks for another kernel API, or raises in a hook becomes a quarantined record; the
others go on.
"""

from __future__ import annotations

import inspect
import logging
import time
import traceback
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from types import ModuleType

import pluggy
from importlib_metadata import EntryPoint, entry_points

from sfumato import hookspecs
from sfumato.errors import BadInput, PluginError, UnknownName, nearest_names
from sfumato.hookspecs import KERNEL_API, PROJECT
from sfumato.registries import Registries

log = logging.getLogger(__name__)


class PluginState(StrEnum):
    """Whether a plugin takes part."""

    ACTIVE = "active"
    DISABLED = "disabled"
    QUARANTINED = "quarantined"


@dataclass(frozen=True)
class PluginRecord:
    """What is known of one plugin.

    Attributes:
        stage: Where a quarantined plugin failed: "import", "API version", or a hook's name.
        problem: Its failure in one line.
        traceback: The failure in full.
        advice: What the user can do about it.
        load_seconds: Wall time of importing and registering it.
    """

    name: str
    state: PluginState = PluginState.ACTIVE
    distribution: str = ""
    version: str = ""
    module: str = ""
    hooks: tuple[str, ...] = ()
    load_seconds: float = 0.0
    stage: str = ""
    problem: str = ""
    traceback: str = ""
    advice: str = ""


class PluginManager:
    """The plugins of one studio.

    Args:
        disabled: Names of plugins that are not to be loaded.
    """

    def __init__(self, disabled: Collection[str] = ()) -> None:
        self._disabled = frozenset(disabled)
        self._records: dict[str, PluginRecord] = {}
        self._pluggy = pluggy.PluginManager(PROJECT)
        self._pluggy.add_hookspecs(hookspecs)

    def __iter__(self) -> Iterator[PluginRecord]:
        return iter([self._records[name] for name in sorted(self._records)])

    def get(self, name: str) -> PluginRecord:
        """Raises `UnknownName` for a plugin that is not installed."""
        if name not in self._records:
            raise UnknownName("plugin", name, self._records)
        return self._records[name]

    @property
    def quarantined(self) -> list[PluginRecord]:
        return [record for record in self if record.state is PluginState.QUARANTINED]

    def discover(self) -> None:
        """Load every installed plugin that is not disabled, in name order."""
        found = entry_points(group=PROJECT)
        for entry_point in sorted(found, key=lambda point: (point.name, _distribution_name(point))):
            self._load_entry_point(entry_point)

    def _load_entry_point(self, entry_point: EntryPoint) -> None:
        name = entry_point.name
        record = PluginRecord(
            name=name,
            distribution=_distribution_name(entry_point),
            version=entry_point.dist.version if entry_point.dist else "",
            module=entry_point.value,
        )
        if name in self._records:
            other = self._records[name].distribution
            name = f"{name} ({record.distribution})"
            problem = f"Distribution '{other}' already brings a plugin named '{entry_point.name}'."
            self._quarantine(
                replace(record, name=name), "name", BadInput(problem, hint="Uninstall one of them.")
            )
        elif name in self._disabled:
            self._records[name] = replace(record, state=PluginState.DISABLED)
        else:
            start = time.perf_counter()
            try:
                module = entry_point.load()
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # whatever a plugin raises, exit() too, must not end the program
                self._quarantine(record, "import", error)
            else:
                self.register(module, record)
                self._add_load_time(name, time.perf_counter() - start)

    def register(self, module: ModuleType, record: PluginRecord) -> None:
        """Take in an imported plugin module; a failure quarantines it."""
        self._records[record.name] = record
        try:
            check_api_version(record.name, getattr(module, "SFUMATO_API", None))
        except PluginError as error:
            self._quarantine(record, "API version", error)
            return
        try:
            self._pluggy.register(module, record.name)
            self._check_hooks(record.name)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            self._quarantine(record, "registration", error)
        else:
            callers = self._pluggy.get_hookcallers(module) or []
            self._records[record.name] = replace(
                record, hooks=tuple(sorted(caller.name for caller in callers))
            )

    def _check_hooks(self, plugin: str) -> None:
        """A misspelt hook would silently never be called, and a wrong one register nothing."""
        for caller in self._pluggy.get_hookcallers(self._pluggy.get_plugin(plugin)) or []:
            for implementation in caller.get_hookimpls():
                if implementation.plugin_name != plugin:
                    continue
                if caller.spec is not None:
                    check_call(caller.name, implementation, caller.spec.argnames)
                elif not implementation.optionalhook:
                    near = ", ".join(nearest_names(caller.name, hook_names()) or hook_names())
                    raise PluginError(
                        f"There is no hook named '{caller.name}'.", hint=f"Did you mean {near}?"
                    )

    def fill(self, registries: Registries) -> None:
        """Run all registration hooks, plugin by plugin; a plugin's additions are kept whole or not at all."""
        for record in list(self):
            if record.state is not PluginState.ACTIVE:
                continue
            start = time.perf_counter()
            stage = ""
            try:
                for stage in record.hooks:
                    self._collect(record.name, stage, registries)
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                self.quarantine(record.name, stage, error, registries)
            self._add_load_time(record.name, time.perf_counter() - start)

    def quarantine(self, plugin: str, stage: str, error: BaseException, registries: Registries) -> None:
        """Take a plugin out that failed at `stage`, with everything it contributed."""
        registries.withdraw(plugin)
        self._quarantine(self.get(plugin), stage, error)

    def _collect(self, plugin: str, hook: str, registries: Registries) -> None:
        registry = registries.for_hook(hook)
        if registry is None:
            return
        caller = getattr(self._pluggy.hook, hook)
        for implementation in caller.get_hookimpls():
            if implementation.plugin_name == plugin:
                registrar = registry.registrar(plugin)
                implementation.function(registrar)
                registrar.commit()

    def _quarantine(self, record: PluginRecord, stage: str, error: BaseException) -> None:
        module = self._pluggy.get_plugin(record.name)
        if module is not None:
            self._pluggy.unregister(module)
        log.warning("Plugin '%s' is quarantined (%s): %s", record.name, stage, error)
        self._records[record.name] = replace(
            record,
            state=PluginState.QUARANTINED,
            stage=stage,
            problem=" ".join(f"{type(error).__name__}: {error}".split()),
            traceback="".join(traceback.format_exception(error)),
            advice=_advice(record, error),
        )

    def _add_load_time(self, name: str, seconds: float) -> None:
        record = self._records[name]
        self._records[name] = replace(record, load_seconds=record.load_seconds + seconds)


def check_api_version(plugin: str, declared: object) -> None:
    """Raises `PluginError` unless `declared` ("major.minor") fits this kernel."""
    current = ".".join(map(str, KERNEL_API))
    if not isinstance(declared, str):
        raise PluginError(
            f"Plugin '{plugin}' does not say which kernel API it was written for.",
            hint=f'Its module needs a line: SFUMATO_API = "{current}"',
        )
    try:
        major, minor = map(int, declared.split("."))
    except ValueError:
        raise PluginError(
            f"Plugin '{plugin}' asks for the kernel API '{declared}'.", hint=f"Write it as '{current}'."
        ) from None
    if major != KERNEL_API[0] or minor > KERNEL_API[1]:
        newer = (major, minor) > KERNEL_API
        raise PluginError(
            f"Plugin '{plugin}' asks for kernel API {declared}; this kernel has {current}.",
            hint="Update Sfumato." if newer else "Update the plugin.",
        )


def check_call(hook: str, implementation: pluggy.HookImpl, parameters: Collection[str]) -> None:
    """Raises `PluginError` unless calling the implementation with these parameters does its work."""
    function = implementation.function
    if inspect.isgeneratorfunction(function) or inspect.iscoroutinefunction(function):
        raise PluginError(
            f"'{hook}' is a generator or coroutine, as wrappers are: nothing would run it.",
            hint="Make it a plain function with @hookimpl alone.",
        )
    if tuple(implementation.argnames) != tuple(parameters):
        raise PluginError(
            f"'{hook}' has the wrong parameters.", hint=f"Write: def {hook}({', '.join(parameters)})."
        )


def hook_names() -> tuple[str, ...]:
    """All hooks of the kernel, in the order of `hookspecs.py`."""
    return tuple(
        name
        for name, value in vars(hookspecs).items()
        if inspect.isfunction(value) and hasattr(value, f"{PROJECT}_spec")
    )


def _distribution_name(entry_point: EntryPoint) -> str:
    return entry_point.dist.name if entry_point.dist else ""


def _advice(record: PluginRecord, error: BaseException) -> str:
    disable = f"Or switch it off: sfumato plugins disable {record.name}"
    hint = getattr(error, "hint", "")
    if hint:
        return f"{hint} {disable}"
    if isinstance(error, ImportError) and record.distribution:
        reinstall = f"pip install --force-reinstall {record.distribution}"
        return f"Something it needs is missing; reinstall it: {reinstall}. {disable}"
    return f"Report the traceback to the plugin's author. {disable}"
