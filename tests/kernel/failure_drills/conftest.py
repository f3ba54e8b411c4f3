"""Plugins that fail in every way there is, and what starts them.

Whatever a plugin does, and wherever: it is told of, nothing of it is left, and the others go on.
"""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from importlib_metadata import entry_points

from sfumato import hookspecs
from sfumato.plugins import PluginManager, PluginRecord, PluginState
from sfumato.registries import Registries
from sfumato.settings import Settings

from ..conftest import InstallPlugin

HEAD = """
import sys, threading, time
from pydantic import BaseModel, Field
from sfumato.hookspecs import hookimpl

SFUMATO_API = "1.0"

class Odd(BaseException):
    pass

def fail(*anything):
    {failure}
"""
FAILURES = {
    "raise": "raise ValueError('no such colour')",
    "hang": "while True: time.sleep(0.01)",
    "exit": "sys.exit(3)",
    "odd": "raise Odd('neither here nor there')",
}
TOLD = {
    "raise": "ValueError: no such colour",
    "hang": "did not return",
    "exit": "SystemExit: 3",
    "odd": "Odd",
}
SHORT, LONG = 1.0, 30.0
"""Seconds of patience where a plugin hangs, in which the sound one must load too, and where none should."""
SOUND = """
from sfumato.hookspecs import hookimpl

SFUMATO_API = "1.0"

@hookimpl
def register_samplers(samplers):
    samplers.add("{name}", "json:dumps", label="{name}")
"""
each_failure = pytest.mark.parametrize("failure", FAILURES)


@pytest.fixture
def bundled() -> tuple[str, ...]:
    """The plugins that are installed for real; here they would only take time."""
    return tuple(point.name for point in entry_points(group="sfumato"))


@pytest.fixture
def settings(bundled: tuple[str, ...]) -> Callable[[float], Settings]:
    def build(patience: float) -> Settings:
        given = {"plugins.disabled": ",".join(bundled), "plugins.patience": str(patience)}
        return Settings.load(overrides=given)

    return build


class Start:
    """A plugin manager and its registries, as a studio starts them."""

    def __init__(self, disabled: tuple[str, ...], patience: float) -> None:
        self.plugins, self.registries = PluginManager(disabled, patience), Registries()
        self.plugins.discover()
        self.plugins.fill(self.registries)

    def quarantined(self, name: str) -> PluginRecord:
        record = self.plugins.get(name)
        assert record.state is PluginState.QUARANTINED
        assert record.advice
        return record


Starting = Callable[..., Start]


@pytest.fixture
def start(bundled: tuple[str, ...], install_plugin: InstallPlugin) -> Starting:
    """Starts the plugins that a test installed, one behind them all that works included."""

    def run(patience: float = LONG) -> Start:
        install_plugin("zz_sound", SOUND.format(name="sound"))
        started = Start(bundled, patience)
        assert "sound" in started.registries.samplers, "the others must go on"
        return started

    return run


def parameter(hook: str) -> str:
    """What the hook calls the registrar it is given."""
    (name,) = inspect.signature(getattr(hookspecs, hook)).parameters
    return name


def head(failure: str = "raise") -> str:
    """The beginning of a plugin, with a function `fail` that fails in that way."""
    return HEAD.format(failure=FAILURES[failure])


def hook(name: str, body: str) -> str:
    """The part of a plugin that does `body`, a line, in that hook."""
    return f"\n@hookimpl\ndef {name}({parameter(name)}):\n    {body}\n"


def patience(failure: str) -> float:
    return SHORT if failure == "hang" else LONG


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Writes a plugin's inner module; returns the target naming `fail` in it."""

    def write(source: str) -> str:
        (tmp_path / "site" / "drill_parts.py").write_text(source, "utf-8")
        return "drill_parts:fail"

    yield write
    sys.modules.pop("drill_parts", None)


def wait_for_plugin_threads() -> None:
    for thread in threading.enumerate():
        if thread.name == "sfumato-plugin":
            thread.join(LONG)
            assert not thread.is_alive(), "a plugin's loop goes on"


def run_program(
    tmp_path: Path, bundled: tuple[str, ...], *words: str, patience: float = LONG, to_end: float = LONG
) -> Any:
    """The `sfumato` program in a process of its own; its stdin stays open, as a terminal's does.

    `to_end` is how many seconds it waits for what does not end, and for C code that lets nothing else run.
    """
    given = ["--set", f"plugins.disabled={','.join(bundled)}", "--set", f"plugins.patience={patience}"]
    seconds = f"program.SECONDS_TO_END = session.SECONDS_MORE = {to_end}"
    program = f"import sys; from sfumato.cli import program, session; {seconds}; sys.exit(program.run())"
    environ = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    reading, writing = os.pipe()
    try:
        return subprocess.run(
            [sys.executable, "-c", program, *given, *words],
            env=environ,
            stdin=reading,
            capture_output=True,
            text=True,
            timeout=60,
        )
    finally:
        os.close(reading)
        os.close(writing)
