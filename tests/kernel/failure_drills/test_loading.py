"""What fails or hangs while plugins are loaded: their import, their hooks, their section of settings."""

from __future__ import annotations

import json
import locale
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sfumato import Studio
from sfumato.errors import BadInput
from sfumato.plugins import PluginState, hook_names
from sfumato.settings import Settings

from ..conftest import InstallPlugin
from .conftest import (
    LONG,
    SHORT,
    SOUND,
    TOLD,
    Start,
    Starting,
    each_failure,
    head,
    hook,
    patience,
    wait_for_plugin_threads,
)


@each_failure
def test_failing_at_import(failure: str, install_plugin: InstallPlugin, start: Starting) -> None:
    install_plugin("drill", head(failure) + "fail()\n")
    record = start(patience(failure)).quarantined("drill")
    assert record.stage == "import"
    assert TOLD[failure] in record.problem
    assert "in fail" in record.traceback


def failing_in(name: str, failure: str) -> str:
    """A plugin that has registered something when it fails in that hook."""
    bodies = {"register_checks": "checks.add('drill', fail, label='Drill')", name: "fail()"}
    return head(failure) + "".join(hook(*called) for called in bodies.items())


def assert_told(started: Start, plugin: str, stage: str, failure: str) -> None:
    record = started.quarantined(plugin)
    assert record.stage == stage
    assert TOLD[failure] in record.problem
    assert "in fail" in record.traceback
    assert "drill" not in started.registries.checks


@pytest.mark.parametrize("failure", ["raise", "exit", "odd"])
@pytest.mark.parametrize("name", hook_names())
def test_failing_in_a_hook(failure: str, name: str, install_plugin: InstallPlugin, start: Starting) -> None:
    install_plugin("drill", failing_in(name, failure))
    assert_told(start(), "drill", name, failure)


def test_hanging_in_each_hook(install_plugin: InstallPlugin, bundled: tuple[str, ...]) -> None:
    """Each in a start of its own, all at the same time: one after the other, the patience would add up."""
    drills = {f"drill_{name}": name for name in hook_names()}
    for drill, name in drills.items():
        install_plugin(drill, failing_in(name, "hang"))
    install_plugin("zz_sound", SOUND.format(name="sound"))

    def start_with(drill: str) -> Start:
        return Start((*bundled, *drills.keys() - {drill}), 2 * SHORT)

    with ThreadPoolExecutor(len(drills)) as pool:
        starts = list(pool.map(start_with, drills))
    for (drill, name), started in zip(drills.items(), starts, strict=True):
        assert_told(started, drill, name, "hang")
        assert "sound" in started.registries.samplers


@each_failure
def test_failing_in_a_section_of_settings(
    failure: str, install_plugin: InstallPlugin, start: Starting
) -> None:
    section = "class Section(BaseModel):\n    size: int = Field(default_factory=fail)\n"
    add = hook("register_settings", "sections.add('drill', Section, label='Drill')")
    install_plugin("drill", head(failure) + section + add)
    started = start(patience(failure))
    record = started.quarantined("drill")
    assert record.stage == "settings"
    assert TOLD[failure] in record.problem
    assert "drill" not in started.registries.settings


@each_failure
def test_failing_while_the_code_of_a_section_is_imported(
    failure: str, install_plugin: InstallPlugin, start: Starting, parts: Callable[[str], str]
) -> None:
    target = parts(head(failure) + "fail()\n")
    add = hook("register_settings", f"sections.add('drill', {target!r}, label='Drill')")
    install_plugin("drill", head(failure) + add)
    record = start(patience(failure)).quarantined("drill")
    assert record.stage == "settings"
    assert TOLD[failure] in record.problem


def test_ctrl_c_is_heard_while_a_plugin_hangs_at_import(
    install_plugin: InstallPlugin, bundled: tuple[str, ...]
) -> None:
    press = "import signal; signal.raise_signal(signal.SIGINT)\n"
    install_plugin("drill", head("hang") + press + "fail()\n")
    with pytest.raises(KeyboardInterrupt):
        Start(bundled, LONG)
    wait_for_plugin_threads()


@pytest.mark.parametrize(
    "loop",
    [
        "while True: pass",
        "while True:\n    try: time.sleep(0.01)\n    except Exception: pass",
        "try:\n    while True: pass\nexcept:\n    while True: pass",
    ],
)
def test_an_endless_loop_does_not_eat_the_processor_for_ever(
    loop: str, install_plugin: InstallPlugin, start: Starting
) -> None:
    install_plugin("drill", head() + loop + "\n")
    record = start(SHORT).quarantined("drill")
    assert "plugins.patience" in record.advice
    assert "drill_dist.py" in record.traceback
    wait_for_plugin_threads()


def test_what_waits_for_ever_is_left_behind_and_comes_too_late(
    install_plugin: InstallPlugin, start: Starting
) -> None:
    source = """
wake, answered, refused = threading.Event(), threading.Event(), []

@hookimpl
def register_samplers(samplers):
    while not wake.is_set():
        try:
            wake.wait()
        except BaseException:
            pass
    try:
        samplers.add("late", "json:dumps", label="Late")
    except Exception as error:
        refused.append(error)
    answered.set()
"""
    module = install_plugin("drill", head() + source)
    started = start(SHORT)
    assert started.quarantined("drill").stage == "register_samplers"
    drill = sys.modules[module]
    drill.wake.set()
    assert drill.answered.wait(LONG)
    assert "registration is over" in str(drill.refused[0])
    assert "late" not in started.registries.samplers


def test_with_a_patience_of_nought_a_plugin_runs_in_this_thread(
    install_plugin: InstallPlugin, bundled: tuple[str, ...]
) -> None:
    install_plugin("drill", head() + "HERE = threading.current_thread()\n")
    started = Start(bundled, 0.0)
    assert started.plugins.get("drill").state is PluginState.ACTIVE
    assert sys.modules["drill_dist"].HERE is threading.current_thread()


ODD_ERRORS = {
    "its text raises": ("class E(Exception):\n    def __str__(self): 1 / 0\nraise E()", "cannot be had"),
    "its repr raises": ("class E(Exception):\n    def __repr__(self): 1 / 0\nraise E('x')", "E: x"),
    "its text is no text": (
        "class E(Exception):\n    def __str__(self): return 5\nraise E()",
        "cannot be had",
    ),
    "its hint raises": (
        "class E(Exception):\n    @property\n    def hint(self): 1 / 0\nraise E('x')",
        "E: x",
    ),
    "huge": ("raise ValueError('x' * 10_000_000)", "xxx ..."),
    "lines and control characters": ("raise ValueError('red \\x1b[31m\\n\\n\\0 rum')", "red"),
    "lone surrogate": ("raise ValueError('\\ud800')", "ValueError"),
    "recursion": ("def deep(): deep()\ndeep()", "RecursionError"),
    "Ctrl-C of its own": ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    "generator exit": ("raise GeneratorExit", "GeneratorExit"),
    "group": ("raise BaseExceptionGroup('many', [SystemExit(1), KeyboardInterrupt()])", "many"),
    "odd syntax error": ("raise SyntaxError('x', ('f', 'one', [], 5))", "SyntaxError"),
    "memory": ("raise MemoryError", "MemoryError"),
    "its cause is itself": ("e = ValueError('round')\ne.__cause__ = e\nraise e", "round"),
}


@pytest.mark.parametrize("case", ODD_ERRORS)
def test_an_error_that_is_hard_to_tell_is_told(
    case: str, install_plugin: InstallPlugin, start: Starting
) -> None:
    raising, told = ODD_ERRORS[case]
    install_plugin("drill", head() + raising + "\n")
    record = start().quarantined("drill")
    assert told in record.problem
    assert len(record.problem) < 1000
    assert "\n" not in record.problem
    assert len(record.traceback) < 50_000
    assert json.dumps(record.traceback)


@pytest.mark.parametrize("where", ["", "@hookimpl\ndef register_samplers(samplers):\n    "])
def test_what_a_plugin_changes_of_the_process_is_put_back(
    where: str, install_plugin: InstallPlugin, start: Starting, caplog: pytest.LogCaptureFixture
) -> None:
    changes = (
        "import io, locale, os; sys.stdout = io.StringIO(); os.chdir('/');"
        "locale.setlocale(locale.LC_ALL, 'C.UTF-8' if locale.setlocale(locale.LC_ALL) == 'C' else 'C')"
    )
    before = (sys.stdout, Path.cwd(), locale.setlocale(locale.LC_ALL))
    install_plugin("drill", head() + where + changes + "\n")
    assert start().plugins.get("drill").state is PluginState.ACTIVE
    assert (sys.stdout, Path.cwd(), locale.setlocale(locale.LC_ALL)) == before
    for change in ("sys.stdout", "the working directory", "the locale"):
        assert f"Plugin 'drill' changed {change}" in caplog.text


VALIDATOR = """
from pydantic import field_validator

class Section(BaseModel):
    size: int = 3
    @field_validator("size")
    @classmethod
    def check(cls, value):
        fail()

@hookimpl
def register_settings(sections):
    sections.add("drill", Section, label="Drill")
"""


@pytest.mark.parametrize("failure", ["raise", "exit", "odd"])
def test_failing_over_a_value_of_a_setting_is_told_as_a_value_that_cannot_be(
    failure: str, install_plugin: InstallPlugin, bundled: tuple[str, ...]
) -> None:
    install_plugin("drill", head(failure) + VALIDATOR)
    given = {"plugins.disabled": ",".join(bundled), "drill.size": "5"}
    with pytest.raises(BadInput, match=r"drill\.size cannot be '5'") as caught:
        Studio(Settings.load(overrides=given))
    assert {**TOLD, "raise": "no such colour"}[failure] in caught.value.why
    assert Studio(Settings.load(overrides=given, lenient=True)).settings.drill.size == 3


def test_hanging_over_a_value_of_a_setting(
    install_plugin: InstallPlugin, bundled: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    install_plugin("drill", head("hang") + VALIDATOR)
    monkeypatch.setenv("SFUMATO_DRILL__SIZE", "5")
    given = {"plugins.disabled": ",".join(bundled), "plugins.patience": str(SHORT)}
    record = Studio(Settings.load(overrides=given)).plugins.get("drill")
    assert (record.state, record.stage) == (PluginState.QUARANTINED, "settings")
    wait_for_plugin_threads()


def test_a_section_that_cannot_be_built_twice(
    install_plugin: InstallPlugin, bundled: tuple[str, ...]
) -> None:
    source = """
built = []

def once():
    built.append(1)
    return 1 if len(built) == 1 else fail()

class Section(BaseModel):
    size: int = Field(default_factory=once)

@hookimpl
def register_settings(sections):
    sections.add("drill", Section, label="Drill")
"""
    install_plugin("drill", head() + source)
    record = Studio(Settings.load(overrides={"plugins.disabled": ",".join(bundled)})).plugins.get("drill")
    assert (record.state, record.stage) == (PluginState.QUARANTINED, "settings")
