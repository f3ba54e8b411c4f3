"""Finding, checking, loading and quarantining plugins.

A plugin is a module named by an entry point of group `sfumato`. It is registered with pluggy, in name order.
One that fails to import, asks for another kernel API, or raises or hangs in a hook becomes a quarantined
record; the others go on. Each step is watched in a thread of its own (`sfumato.watchdog`), so a plugin cannot
set signal handlers there; what it changes of the process (streams, working directory, locale) is put back.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import logging
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from types import ModuleType
from typing import TypeVar

import pluggy

from sfumato import hookspecs
from sfumato.errors import BadInput, PluginError, SfumatoError, UnknownName, nearest_names
from sfumato.hookspecs import KERNEL_API, PROJECT
from sfumato.installed import InstalledPlugin, installed_plugins
from sfumato.registries import Registries
from sfumato.registry import Entry
from sfumato.settings import PluginSettings, Settings, SettingsSectionInfo, check_section
from sfumato.tasks import how_to_install
from sfumato.watchdog import call_within, in_full, in_one_line, process_kept_as_it_is

Result = TypeVar("Result")

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
        stage: Where a quarantined plugin failed: "metadata", "name", "import", "API version", "registration",
            a hook's name, or "settings".
        problem: Its failure in one line.
        traceback: The failure in full; for code that hung, where it did.
        advice: What the user can do about it.
        load_seconds: Wall time of importing and registering it.
        replaces: The entries of other plugins that it stands in for, each in words.
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
    replaces: tuple[str, ...] = ()


class PluginManager:
    """The plugins of one studio.

    Args:
        disabled: Names of plugins that are not to be loaded.
        patience: Seconds that each import and each hook may take; 0 waits for ever.
    """

    def __init__(self, disabled: Collection[str] = (), patience: float = PluginSettings().patience) -> None:
        self._disabled = frozenset(disabled)
        self._patience = patience
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

    def how_to_have(self, plugin: str, distribution: str = "") -> str:
        """What to do for something that `plugin` brought when it was used, as when a picture was made."""
        record = self._records.get(plugin)
        if record is None:
            return f"Plugin '{plugin}' brought it and is not installed: {how_to_install(distribution)}"
        if record.state is PluginState.DISABLED:
            return f"Plugin '{plugin}' brought it and is switched off: sfumato plugins enable {plugin}"
        if record.state is PluginState.QUARANTINED:
            return (
                f"Plugin '{plugin}' brought it and is quarantined: 'sfumato plugins show {plugin}' tells why."
            )
        return f"Plugin '{plugin}' brought it once; its version {record.version} does not."

    def discover(self) -> None:
        """Load every installed plugin that is not disabled, in name order."""
        for plugin in installed_plugins():
            self._load(plugin)

    def _load(self, plugin: InstalledPlugin) -> None:
        name, point = plugin.name, plugin.entry_point
        record = PluginRecord(
            name=name,
            distribution=plugin.distribution,
            version=plugin.version,
            module=point.value if point else "",
        )
        if name in self._records:
            other = self._records[name].distribution
            twin = replace(record, name=f"{name} ({plugin.distribution})")
            problem = f"Distribution '{other}' already brings a plugin named '{name}'."
            hint = f"Uninstall one of them: pip uninstall {other}, or {plugin.distribution}."
            self._quarantine(twin, "name", BadInput(problem, hint=hint))
        elif name in self._disabled:
            self._records[name] = replace(record, state=PluginState.DISABLED)
        elif point is None:
            hint = _reinstall(plugin.distribution)
            why = in_one_line(plugin.problem) if plugin.problem else ""
            self._quarantine(record, "metadata", PluginError("It is damaged on disk.", why=why, hint=hint))
        else:
            start = time.perf_counter()
            try:
                module = self._watched(name, point.load)
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # whatever a plugin raises, exit() too, must not end the program
                self._quarantine(record, "import", error)
            else:
                self.register(module, record)
            self._add_load_time(name, time.perf_counter() - start)

    def _watched(self, plugin: str, work: Callable[[], Result]) -> Result:
        """Call a plugin's code in time, and undo what it did to the whole process."""

        def tell(changed: str) -> None:
            log.warning("Plugin '%s' changed %s, which was put back.", plugin, changed)

        with process_kept_as_it_is(tell):
            return call_within(self._patience, work)

    def register(self, module: ModuleType, record: PluginRecord) -> None:
        """Take in an imported plugin module; a failure quarantines it."""
        name = record.name
        self._records[name] = record
        stage = "API version"
        try:
            check_api_version(name, self._watched(name, lambda: getattr(module, "SFUMATO_API", None)))
            stage = "registration"
            self._watched(name, lambda: self._pluggy.register(module, name))
            self._check_hooks(name)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            self._quarantine(record, stage, error)
        else:
            callers = self._pluggy.get_hookcallers(module) or []
            self._records[name] = replace(record, hooks=tuple(sorted(caller.name for caller in callers)))

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
                self._take_out(record.name, stage, error, registries)
            self._add_load_time(record.name, time.perf_counter() - start)
        self._settle(registries)

    def quarantine(self, plugin: str, stage: str, error: BaseException, registries: Registries) -> None:
        """Take a plugin out that failed at `stage`, with everything it contributed."""
        self._take_out(plugin, stage, error, registries)
        self._settle(registries)

    def try_sections(self, settings: Settings, registries: Registries) -> None:
        """Read the plugins' sections of settings one by one; a plugin that hangs over a value is quarantined.

        What is wrong with the values themselves is left to be told when all are read.
        """
        for entry in registries.settings:
            model = {entry.info.name: entry.load()}
            try:
                with contextlib.suppress(BadInput):
                    self._watched(entry.plugin, functools.partial(settings.with_sections, model))
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                self.quarantine(entry.plugin, "settings", error, registries)

    def _take_out(self, plugin: str, stage: str, error: BaseException, registries: Registries) -> None:
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
                try:
                    self._watched(plugin, functools.partial(implementation.function, registrar))
                finally:
                    registrar.close()
                registrar.commit()

    def _settle(self, registries: Registries) -> None:
        """What can be judged only once all plugins have registered; taking one out may concern another."""
        self._tell_absent(registries)
        while failures := {**registries.settle(), **self._broken_sections(registries)}:
            for plugin, (stage, error) in failures.items():
                self._take_out(plugin, stage, error, registries)
            self._tell_absent(registries)
        for record in self:
            self._records[record.name] = replace(record, replaces=registries.replaced_by(record.name))

    def _tell_absent(self, registries: Registries) -> None:
        registries.tell_absent(
            tuple(record.name for record in self if record.state is not PluginState.ACTIVE)
        )

    def _broken_sections(self, registries: Registries) -> dict[str, tuple[str, BaseException]]:
        """The plugins whose section of settings cannot be had, with the failure."""
        failures: dict[str, tuple[str, BaseException]] = {}

        def check(entry: Entry[SettingsSectionInfo]) -> None:
            check_section(entry.info.name, entry.load())

        for entry in registries.settings:
            start = time.perf_counter()
            try:
                self._watched(entry.plugin, functools.partial(check, entry))
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                failures[entry.plugin] = ("settings", error)
            self._add_load_time(entry.plugin, time.perf_counter() - start)
        return failures

    def _quarantine(self, record: PluginRecord, stage: str, error: BaseException) -> None:
        module = self._pluggy.get_plugin(record.name)
        if module is not None:
            self._pluggy.unregister(module)
        problem = in_one_line(error)
        log.warning("Plugin '%s' is quarantined (%s): %s", record.name, stage, problem)
        self._records[record.name] = replace(
            record,
            state=PluginState.QUARANTINED,
            stage=stage,
            problem=problem,
            traceback=in_full(error),
            advice=_advice(record, stage, error),
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


def _advice(record: PluginRecord, stage: str, error: BaseException) -> str:
    disable = f"Or switch it off: sfumato plugins disable {record.name}"
    if isinstance(error, SfumatoError) and error.hint:  # of two with one name, none can be switched off alone
        return error.hint if stage == "name" else f"{error.hint} {disable}"
    if isinstance(error, ImportError) and record.distribution:
        return f"Something it needs is missing. {_reinstall(record.distribution)} {disable}"
    return f"Report the traceback to the plugin's author. {disable}"


def _reinstall(distribution: str) -> str:
    if not distribution:  # a plugin's name is none: on PyPI a stranger's package may be called so
        return "Reinstall the package that brings it."
    return f"Reinstall it: pip install --force-reinstall {distribution}."
