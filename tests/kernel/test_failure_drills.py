"""Whatever a plugin does, and wherever: it is told of, nothing of it is left, and the others go on."""

from __future__ import annotations

import inspect
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from importlib_metadata import entry_points

from sfumato import GenerationRequest, Studio, hookspecs
from sfumato.cli.generation import cancel_on_interrupt
from sfumato.doctor import examine
from sfumato.errors import BadInput, PluginError, UnknownName
from sfumato.events import CancelToken
from sfumato.plugins import PluginManager, PluginRecord, PluginState, hook_names
from sfumato.registries import Registries
from sfumato.settings import Settings

from .conftest import InstallPlugin

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
"""Seconds of patience where a plugin hangs (the sound one must load within it too), and where none should."""
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
    (name,) = inspect.signature(getattr(hookspecs, hook)).parameters
    return name


def head(failure: str) -> str:
    return HEAD.format(failure=FAILURES[failure])


def patience(failure: str) -> float:
    return SHORT if failure == "hang" else LONG


@each_failure
def test_failing_at_import(failure: str, install_plugin: InstallPlugin, start: Starting) -> None:
    install_plugin("drill", head(failure) + "fail()\n")
    record = start(patience(failure)).quarantined("drill")
    assert record.stage == "import"
    assert TOLD[failure] in record.problem
    assert "in fail" in record.traceback


def failing_in(hook: str, failure: str) -> str:
    """A plugin that has registered something when it fails in that hook."""
    source = head(failure) + f"@hookimpl\ndef {hook}({parameter(hook)}):\n    fail()\n"
    if hook == "register_checks":
        return source
    return source + "@hookimpl\ndef register_checks(checks):\n    checks.add('drill', fail, label='Drill')\n"


def assert_told(started: Start, plugin: str, hook: str, failure: str) -> None:
    record = started.quarantined(plugin)
    assert record.stage == hook
    assert TOLD[failure] in record.problem
    assert "in fail" in record.traceback
    assert "drill" not in started.registries.checks


@pytest.mark.parametrize("failure", ["raise", "exit", "odd"])
@pytest.mark.parametrize("hook", hook_names())
def test_failing_in_a_hook(failure: str, hook: str, install_plugin: InstallPlugin, start: Starting) -> None:
    install_plugin("drill", failing_in(hook, failure))
    assert_told(start(), "drill", hook, failure)


def test_hanging_in_each_hook(install_plugin: InstallPlugin, bundled: tuple[str, ...]) -> None:
    """Each in a start of its own, all at the same time: one after the other, the patience would add up."""
    drills = {hook: f"drill_{hook}" for hook in hook_names()}
    for hook, name in drills.items():
        install_plugin(name, failing_in(hook, "hang"))
    install_plugin("zz_sound", SOUND.format(name="sound"))

    def start_with(drill: str) -> Start:
        return Start((*bundled, *(name for name in drills.values() if name != drill)), 2 * SHORT)

    with ThreadPoolExecutor(len(drills)) as pool:
        starts = list(pool.map(start_with, drills.values()))
    for (hook, name), started in zip(drills.items(), starts, strict=True):
        assert_told(started, name, hook, "hang")
        assert "sound" in started.registries.samplers


@each_failure
def test_failing_in_a_section_of_settings(
    failure: str, install_plugin: InstallPlugin, start: Starting
) -> None:
    section = "class Section(BaseModel):\n    size: int = Field(default_factory=fail)\n"
    hook = "@hookimpl\ndef register_settings(sections):\n    sections.add('drill', Section, label='Drill')\n"
    install_plugin("drill", head(failure) + section + hook)
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
    hook = f"@hookimpl\ndef register_settings(sections):\n    sections.add('drill', {target!r}, label='D')\n"
    install_plugin("drill", head(failure) + hook)
    record = start(patience(failure)).quarantined("drill")
    assert record.stage == "settings"
    assert TOLD[failure] in record.problem


@each_failure
def test_failing_in_a_check(
    failure: str, install_plugin: InstallPlugin, settings: Callable[[float], Settings]
) -> None:
    hook = "@hookimpl\ndef register_checks(checks):\n    checks.add('drill', fail, label='Drill')\n"
    install_plugin("drill", head(failure) + hook)
    (diagnosis,) = [
        found for found in examine(Studio(settings(patience(failure)))) if found.plugin == "drill"
    ]
    (result,) = diagnosis.results
    assert result.state == "problem"
    assert TOLD[failure] in result.detail
    assert result.hint


@pytest.mark.parametrize("answer", ["None", "['fine']", "5", "[None]"])
def test_a_check_that_answers_nonsense(
    answer: str, install_plugin: InstallPlugin, settings: Callable[[float], Settings]
) -> None:
    add = f"checks.add('drill', lambda studio: {answer}, label='Drill')"
    install_plugin("drill", head("raise") + f"@hookimpl\ndef register_checks(checks):\n    {add}\n")
    (diagnosis,) = [found for found in examine(Studio(settings(LONG))) if found.plugin == "drill"]
    assert [result.state for result in diagnosis.results] == ["problem"]


KINDS = ("samplers", "schedulers", "model_families", "tasks")
CALL = """
@hookimpl
def register_tasks(tasks):
    tasks.add("call", lambda request, context: request(context), label="Call what is asked for")
"""


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Writes a plugin's inner module; returns the target naming `fail` in it."""

    def write(source: str) -> str:
        (tmp_path / "site" / "drill_parts.py").write_text(source, "utf-8")
        return "drill_parts:fail"

    yield write
    sys.modules.pop("drill_parts", None)


def drilled_studio(install_plugin: InstallPlugin, kind: str, target: str, settings: Settings) -> Studio:
    """A studio whose `kind` "drill" is that target, and whose task "call" calls what it is given."""
    hook = f"@hookimpl\ndef register_{kind}(things):\n    things.add('drill', {target!r}, label='Drill')\n"
    install_plugin("drill", head("raise") + hook.replace("things", parameter(f"register_{kind}")))
    install_plugin("caller", head("raise") + CALL)
    return Studio(settings)


@pytest.mark.parametrize("failure", ["raise", "exit", "odd"])
@pytest.mark.parametrize("kind", KINDS)
def test_failing_while_code_is_imported_for_use(
    failure: str,
    kind: str,
    install_plugin: InstallPlugin,
    parts: Callable[[str], str],
    settings: Callable[[float], Settings],
) -> None:
    target = parts(head(failure) + "fail()\n")
    studio = drilled_studio(install_plugin, kind, target, settings(LONG))
    with pytest.raises(PluginError, match="plugin 'drill' cannot be loaded") as caught:
        getattr(studio.registries, kind).get("drill").load()
    assert TOLD[failure] in caught.value.why


@pytest.mark.parametrize("failure", ["raise", "exit", "odd"])
@pytest.mark.parametrize("kind", KINDS)
def test_failing_while_code_is_called(
    failure: str,
    kind: str,
    install_plugin: InstallPlugin,
    parts: Callable[[str], str],
    settings: Callable[[float], Settings],
) -> None:
    studio = drilled_studio(install_plugin, kind, parts(head(failure)), settings(LONG))
    expected = {"raise": "no such colour", "exit": "tried to end the program", "odd": "neither here nor"}
    with pytest.raises((ValueError, PluginError), match=expected[failure]):
        studio.run("call", lambda context: getattr(context.registries, kind).get("drill").load()())
    assert studio.run("call", lambda context: "still at work") == "still at work"


HANGS_AND_TELLS = """
import time
import drill_dist

def fail():
    drill_dist.hangs.set()
    for _ in range(3000):
        time.sleep(0.01)
"""


@pytest.mark.parametrize("hanging", ["while it is imported", "while it is called"])
@pytest.mark.parametrize("kind", ["samplers", "tasks"])
def test_ctrl_c_twice_ends_code_that_hangs_at_work(
    hanging: str,
    kind: str,
    install_plugin: InstallPlugin,
    parts: Callable[[str], str],
    settings: Callable[[float], Settings],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    target = parts(HANGS_AND_TELLS + ("fail()\n" if hanging == "while it is imported" else ""))
    studio = drilled_studio(install_plugin, kind, target, settings(LONG))
    hangs, heard = threading.Event(), threading.Event()
    monkeypatch.setattr("drill_dist.hangs", hangs, raising=False)
    cancel, told = CancelToken(), []

    def tell(text: str) -> None:
        told.append(text)
        heard.set()

    def press_ctrl_c_twice() -> None:
        for ready in (hangs, heard):  # a third time, or one too soon, would end the tests
            if ready.wait(LONG):
                signal.raise_signal(signal.SIGINT)

    person = threading.Thread(target=press_ctrl_c_twice, daemon=True)
    with cancel_on_interrupt(cancel, tell):
        person.start()
        with pytest.raises(KeyboardInterrupt):
            studio.run("call", lambda context: getattr(context.registries, kind).get("drill").load()())
        person.join()
    assert cancel.cancelled
    assert "press Ctrl-C again" in told[0]
    assert studio.run("call", lambda context: "still at work") == "still at work"


def test_ctrl_c_is_heard_while_a_plugin_hangs_at_import(
    install_plugin: InstallPlugin, bundled: tuple[str, ...]
) -> None:
    press = "import signal; signal.raise_signal(signal.SIGINT)\n"
    install_plugin("drill", head("hang") + press + "fail()\n")
    with pytest.raises(KeyboardInterrupt):
        Start(bundled, LONG)
    wait_for_plugin_threads()


def wait_for_plugin_threads() -> None:
    for thread in threading.enumerate():
        if thread.name == "sfumato-plugin":
            thread.join(LONG)
            assert not thread.is_alive(), "a plugin's loop goes on"


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
    install_plugin("drill", head("raise") + loop + "\n")
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
    module = install_plugin("drill", head("raise") + source)
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
    install_plugin("drill", head("raise") + "HERE = threading.current_thread()\n")
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
    install_plugin("drill", head("raise") + raising + "\n")
    record = start().quarantined("drill")
    assert told in record.problem
    assert len(record.problem) < 1000
    assert "\n" not in record.problem
    assert len(record.traceback) < 50_000
    assert json.dumps(record.traceback)


WRONG = {
    "no target": ("samplers.add('x', None, label='X')", "cannot have the target"),
    "a number as target": ("samplers.add('x', 5, label='X')", "cannot have the target"),
    "a number as name": ("samplers.add(5, 'json:dumps', label='X')", "not a permanent name"),
    "a number as label": ("samplers.add('x', 'json:dumps', label=5)", "label"),
    "no label": ("samplers.add('x', 'json:dumps')", "label"),
    "one alias as text": ("samplers.add('x', 'json:dumps', label='X', aliases='k_x')", "aliases"),
    "a misspelt field": ("samplers.add('x', 'json:dumps', label='X', alias=('y',))", "mean aliases"),
    "replaced by nothing": ("samplers.replace('sound', None)", "cannot have the target"),
}


@pytest.mark.parametrize("case", WRONG)
def test_registering_nonsense(case: str, install_plugin: InstallPlugin, start: Starting) -> None:
    call, told = WRONG[case]
    install_plugin("drill", head("raise") + f"@hookimpl\ndef register_samplers(samplers):\n    {call}\n")
    started = start()
    record = started.quarantined("drill")
    assert record.stage == "register_samplers"
    assert told in record.problem
    assert "x" not in started.registries.samplers


def test_an_empty_alias_finds_nothing(install_plugin: InstallPlugin, start: Starting) -> None:
    call = "samplers.add('x', 'json:dumps', label=' ', aliases=('',))"
    install_plugin("drill", head("raise") + f"@hookimpl\ndef register_samplers(samplers):\n    {call}\n")
    registries = start().registries
    assert "x" in registries.samplers
    assert "" not in registries.samplers


def test_registering_from_another_thread_counts_while_the_hook_runs(
    install_plugin: InstallPlugin, start: Starting
) -> None:
    source = """
errors = []

def add(samplers, name):
    try:
        samplers.add(name, "json:dumps", label=name)
    except Exception as error:
        errors.append(error)

@hookimpl
def register_samplers(samplers):
    global late
    early = threading.Thread(target=add, args=(samplers, "early"))
    early.start()
    early.join()
    late = lambda: add(samplers, "late")
"""
    module = install_plugin("drill", head("raise") + source)
    registries = start().registries
    sys.modules[module].late()
    assert "early" in registries.samplers
    assert "late" not in registries.samplers
    assert "registration is over" in str(sys.modules[module].errors[0])


def test_entries_by_the_ten_thousand_are_slow_but_found(
    install_plugin: InstallPlugin, start: Starting
) -> None:
    loop = "for i in range(20_000): samplers.add(f's{i}', 'json:dumps', label=f'S {i}')"
    install_plugin("drill", head("raise") + f"@hookimpl\ndef register_samplers(samplers):\n    {loop}\n")
    started = start()
    assert started.registries.samplers.get("S 19999").plugin == "drill"
    assert started.plugins.get("drill").load_seconds > 0


@pytest.mark.parametrize("where", ["", "@hookimpl\ndef register_samplers(samplers):\n    "])
def test_what_a_plugin_changes_of_the_process_is_put_back(
    where: str, install_plugin: InstallPlugin, start: Starting, caplog: pytest.LogCaptureFixture
) -> None:
    changes = (
        "import io, locale, os; sys.stdout = io.StringIO(); os.chdir('/');"
        "locale.setlocale(locale.LC_ALL, 'C.UTF-8' if locale.setlocale(locale.LC_ALL) == 'C' else 'C')"
    )
    import locale

    before = (sys.stdout, Path.cwd(), locale.setlocale(locale.LC_ALL))
    install_plugin("drill", head("raise") + where + changes + "\n")
    assert start().plugins.get("drill").state is PluginState.ACTIVE
    assert (sys.stdout, Path.cwd(), locale.setlocale(locale.LC_ALL)) == before
    for change in ("sys.stdout", "the working directory", "the locale"):
        assert f"Plugin 'drill' changed {change}" in caplog.text


@pytest.mark.parametrize(
    "declared",
    [
        "'2.0'",
        "'0.9'",
        "'1.99'",
        "1.0",
        "(1, 0)",
        "'1'",
        "''",
        "'1.0.0'",
        "'one.two'",
        "None",
        "b'1.0'",
        "'1.x'",
    ],
)
def test_an_api_version_that_does_not_fit(
    declared: str, install_plugin: InstallPlugin, start: Starting
) -> None:
    install_plugin("drill", SOUND.format(name="x").replace('"1.0"', declared))
    started = start()
    assert started.quarantined("drill").stage == "API version"
    assert "x" not in started.registries.samplers


@pytest.mark.parametrize(
    "claim", ["'swirl', label='B'", "'b', label='swirl'", "'b', label='B', aliases=('SWIRL ',)"]
)
def test_two_plugins_claiming_one_name_label_or_alias(
    claim: str, install_plugin: InstallPlugin, start: Starting
) -> None:
    install_plugin("first", SOUND.format(name="swirl"))
    name, *rest = claim.split(", ", 1)
    call = f"samplers.add({name}, 'json:dumps', {rest[0]})"
    install_plugin("second", head("raise") + f"@hookimpl\ndef register_samplers(samplers):\n    {call}\n")
    started = start()
    assert "'first' already registered it" in started.quarantined("second").problem
    assert [entry.info.name for entry in started.registries.samplers] == ["sound", "swirl"]


def test_a_saved_request_names_the_sampler_of_a_plugin_that_is_gone(
    install_plugin: InstallPlugin, start: Starting, tmp_path: Path
) -> None:
    install_plugin("vortex", SOUND.format(name="swirl"))
    saved = GenerationRequest(prompt="apple", sampler="swirl").model_dump_json()
    assert "swirl" in start().registries.samplers
    shutil.rmtree(tmp_path / "site" / "vortex_dist-1.0.dist-info")
    (tmp_path / "site" / "vortex_dist.py").unlink()
    shutil.rmtree(tmp_path / "site" / "zz_sound_dist-1.0.dist-info")
    after = start()
    wanted = GenerationRequest.model_validate_json(saved).sampler
    assert wanted == "swirl"
    with pytest.raises(UnknownName, match="There is no sampler named 'swirl'"):
        after.registries.samplers.get(wanted)
    assert "pip install vortex-dist" in after.plugins.how_to_have("vortex", "vortex-dist")
    assert "pip install" not in after.plugins.how_to_have("vortex"), "who knows what is called so on PyPI"


def test_what_is_missed_leads_to_the_plugin_that_is_off_or_broken(
    install_plugin: InstallPlugin, bundled: tuple[str, ...]
) -> None:
    install_plugin("asleep", SOUND.format(name="dream"))
    install_plugin("torn", SOUND.format(name="shard") + "@hookimpl\ndef register_tasks(tasks):\n    1 / 0\n")
    plugins, registries = PluginManager((*bundled, "asleep"), LONG), Registries()
    plugins.discover()
    plugins.fill(registries)
    assert "ZeroDivisionError" in plugins.get("torn").problem
    with pytest.raises(UnknownName, match=r"switched off or broken: .*asleep, .*torn"):
        registries.samplers.get("dream")
    assert "sfumato plugins enable asleep" in plugins.how_to_have("asleep")
    assert "sfumato plugins show torn" in plugins.how_to_have("torn")


def test_a_name_that_a_quarantined_plugin_had_registered_leads_to_it(
    install_plugin: InstallPlugin, start: Starting
) -> None:
    hook = "@hookimpl\ndef register_tasks(tasks):\n    1 / 0\n"
    install_plugin("torn", SOUND.format(name="shard").replace("samplers", "schedulers") + hook)
    registries = start().registries
    with pytest.raises(UnknownName, match="Plugin 'torn' brings it, but is quarantined"):
        registries.schedulers.get("Shard")


def test_a_plugin_whose_file_goes_between_discovery_and_use(
    install_plugin: InstallPlugin, start: Starting, parts: Callable[[str], str], tmp_path: Path
) -> None:
    target = parts(head("raise"))
    hook = f"@hookimpl\ndef register_samplers(samplers):\n    samplers.add('x', {target!r}, label='X')\n"
    install_plugin("drill", head("raise") + hook)
    entry = start().registries.samplers.get("x")
    (tmp_path / "site" / "drill_parts.py").unlink()
    with pytest.raises(PluginError, match="Reinstall the plugin"):
        entry.load()


DAMAGE: dict[str, dict[str, bytes | None]] = {
    "no metadata": {"METADATA": None},
    "metadata without a name": {"METADATA": b"Metadata-Version: 2.1\nVersion: 1\n"},
    "metadata without a version": {"METADATA": b"Metadata-Version: 2.1\nName: drill-dist\n"},
    "entry points without a value": {"entry_points.txt": b"[sfumato]\ndrill\n"},
    "an entry point that names nothing": {"entry_points.txt": b"[sfumato]\ndrill = \n"},
    "an entry point that is no module": {"entry_points.txt": b"[sfumato]\ndrill = no such thing!\n"},
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_plugin_whose_metadata_is_damaged(
    damage: str, install_plugin: InstallPlugin, start: Starting, tmp_path: Path
) -> None:
    install_plugin("drill", SOUND.format(name="x"))
    for name, content in DAMAGE[damage].items():
        file = tmp_path / "site" / "drill_dist-1.0.dist-info" / name
        file.unlink() if content is None else file.write_bytes(content)
    started = start()
    (record,) = [record for record in started.plugins if record.name.startswith("drill")]
    assert started.quarantined(record.name).stage in ("metadata", "import")
    assert "--force-reinstall drill." not in record.advice, "that is no distribution"
    assert "x" not in started.registries.samplers


def test_entry_points_that_are_no_text_hide_no_other_plugin(
    install_plugin: InstallPlugin, start: Starting, tmp_path: Path, bundled: tuple[str, ...]
) -> None:
    install_plugin("drill", SOUND.format(name="x"))
    (tmp_path / "site" / "drill_dist-1.0.dist-info" / "entry_points.txt").write_bytes(b"\xff\xfe\x00[sfumato")
    assert "x" not in start().registries.samplers
    outcome = run_program(tmp_path, bundled, "samplers", "--json")
    assert [sampler["name"] for sampler in json.loads(outcome.stdout)] == ["sound"]


CHATTY = """
import subprocess
print("imported")
subprocess.run([sys.executable, "-c", "print('a program of mine')"])
real = sys.stdout

def chatter():
    for _ in range(200):
        print("and another thing")
        time.sleep(0.01)

threading.Thread(target=chatter, daemon=True).start()

@hookimpl
def register_samplers(samplers):
    print("registering")
    sys.stdout = sys.__stdout__
    samplers.add("chatty", "json:dumps", label="Chatty")
"""


def run_program(tmp_path: Path, bundled: tuple[str, ...], *words: str, patience: float = LONG) -> Any:
    """The `sfumato` program in a process of its own; its stdin stays open, as a terminal's does."""
    given = ["--set", f"plugins.disabled={','.join(bundled)}", "--set", f"plugins.patience={patience}"]
    soon = "from sfumato.cli import program, session; program.SECONDS_TO_END = session.SECONDS_MORE = 0.3"
    program = f"import sys; {soon}; sys.exit(program.run())"
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


def test_data_on_stdout_is_not_mixed_with_what_plugins_print(
    install_plugin: InstallPlugin, tmp_path: Path, bundled: tuple[str, ...]
) -> None:
    install_plugin("drill", head("raise") + CHATTY)
    outcome = run_program(tmp_path, bundled, "samplers", "--json")
    assert outcome.returncode == 0, outcome.stderr
    (sampler,) = json.loads(outcome.stdout)
    assert (sampler["name"], sampler["plugin"], sampler["replaces"]) == ("chatty", "drill", "")
    for line in ("imported", "a program of mine", "and another thing", "registering"):
        assert line in outcome.stderr


def test_a_family_whose_options_are_nonsense_is_no_end_of_generating(
    install_plugin: InstallPlugin, tmp_path: Path, bundled: tuple[str, ...]
) -> None:
    add = "@hookimpl\ndef register_model_families(families):\n    families.add('f', fail, label='F')\n"
    install_plugin("drill", head("raise") + "fail.options = 5\n" + add)
    outcome = run_program(tmp_path, bundled, "generate", "--help")
    assert outcome.returncode == 0, outcome.stderr
    assert "'f' from plugin 'drill' cannot tell its options" in outcome.stderr


MODEL_PARTS = """
class Family:
    def detect(self, header):
        print("asked")
        {family}

class Format:
    def read_header(self, path):
        print("read")
        {format}

@hookimpl
def register_model_families(families):
    families.add("drill", Family, label="Drill")

@hookimpl
def register_weight_formats(formats):
    formats.add("drill", Format, label="Drill", suffixes=(".drill",))
"""
HEADER = "from sfumato.models import CheckpointHeader as H; return H(path, 'single_file', 'drill', {})"
NONSENSE = {**{name: code for name, code in FAILURES.items() if name != "hang"}, "nonsense": "return 5"}


@pytest.mark.parametrize("failure", NONSENSE)
@pytest.mark.parametrize("broken", ["family", "format"])
def test_what_fails_over_a_model_leaves_the_others_to_be_listed(
    broken: str, failure: str, install_plugin: InstallPlugin, tmp_path: Path, bundled: tuple[str, ...]
) -> None:
    sound = {"family": "return None", "format": HEADER}
    install_plugin("drill", head("raise") + MODEL_PARTS.format(**{**sound, broken: NONSENSE[failure]}))
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "some.drill").write_bytes(b"x")
    folders = ("--set", f"general.model_folders={tmp_path}")
    outcome = run_program(tmp_path, bundled, *folders, "models", "--json")
    assert outcome.returncode == 0, outcome.stderr
    (problem,) = json.loads(outcome.stdout)["problems"]
    told = TOLD.get(failure, "it answered 5")
    assert told in (problem["message"] if broken == "format" else outcome.stderr)
    assert "from plugin 'drill' cannot" in problem["message"] + outcome.stderr


def test_a_registered_model_that_is_no_path_leaves_the_others_to_be_listed(
    install_plugin: InstallPlugin, tmp_path: Path, bundled: tuple[str, ...]
) -> None:
    add = "@hookimpl\ndef register_models(models):\n    models.add('odd', fail, label='Odd')\n"
    install_plugin("drill", head("raise") + add)
    outcome = run_program(tmp_path, bundled, "models", "--json")
    assert outcome.returncode == 0, outcome.stderr
    (problem,) = json.loads(outcome.stdout)["problems"]
    assert "'odd' from plugin 'drill' cannot be found" in problem["message"]


NEVER_ENDING = {
    "a function called at exit": "import atexit; atexit.register(time.sleep, 1e6)",
    "a pool of threads": "from concurrent.futures import ThreadPoolExecutor\n"
    "ThreadPoolExecutor().submit(time.sleep, 1e6)",
}


@pytest.mark.parametrize("case", NEVER_ENDING)
def test_what_a_plugin_leaves_running_does_not_keep_the_program_from_ending(
    case: str, install_plugin: InstallPlugin, tmp_path: Path, bundled: tuple[str, ...]
) -> None:
    install_plugin("drill", SOUND.format(name="x") + f"import time\n{NEVER_ENDING[case]}\n")
    outcome = run_program(tmp_path, bundled, "samplers", "--json")
    assert outcome.returncode == 0
    assert json.loads(outcome.stdout)
    assert "the program ends without it" in outcome.stderr


def test_a_plugin_waiting_for_the_keyboard_is_left_behind_with_an_orderly_end(
    install_plugin: InstallPlugin, tmp_path: Path, bundled: tuple[str, ...]
) -> None:
    install_plugin("drill", head("raise") + "input('Your name? ')\n")
    install_plugin("zz_sound", SOUND.format(name="sound"))
    outcome = run_program(tmp_path, bundled, "samplers", "--json", patience=SHORT)
    assert outcome.returncode == 0, outcome.stderr
    assert [sampler["name"] for sampler in json.loads(outcome.stdout)] == ["sound"]
    assert "Plugin 'drill' is quarantined" in outcome.stderr


def test_c_code_that_lets_nothing_else_run_ends_the_program_and_is_told(
    install_plugin: InstallPlugin, tmp_path: Path, bundled: tuple[str, ...]
) -> None:
    install_plugin("drill", head("raise") + "import re\nre.match('(a+)+$', 'a' * 60 + 'b')\n")
    outcome = run_program(tmp_path, bundled, "samplers", "--json", patience=SHORT)
    assert (outcome.returncode, outcome.stdout) == (1, "")
    assert "drill_dist.py" in outcome.stderr


def test_what_c_libraries_and_programs_write_to_stdout_is_never_data(
    install_plugin: InstallPlugin, tmp_path: Path, bundled: tuple[str, ...]
) -> None:
    source = """
import atexit, os
from sfumato.checks import CheckResult
atexit.register(os.write, 1, b"goodbye\\n")

def check(studio):
    os.system("echo checking")
    return [CheckResult(label="Drill")]

@hookimpl
def register_checks(checks):
    checks.add("drill", check, label="Drill")
"""
    install_plugin("drill", head("raise") + source)
    outcome = run_program(tmp_path, bundled, "doctor", "--json")
    assert any(check["name"] == "drill" for check in json.loads(outcome.stdout)["checks"])
    for line in ("goodbye", "checking"):
        assert line in outcome.stderr


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
    install_plugin("drill", head("raise") + source)
    record = Studio(Settings.load(overrides={"plugins.disabled": ",".join(bundled)})).plugins.get("drill")
    assert (record.state, record.stage) == (PluginState.QUARANTINED, "settings")


def test_an_unknown_setting_leads_to_the_plugins(bundled: tuple[str, ...]) -> None:
    with pytest.raises(BadInput, match="see 'sfumato plugins'"):
        Studio(Settings.load(overrides={"plugins.disabled": ",".join(bundled), "engine.device": "cpu"}))
    with pytest.raises(BadInput) as caught:
        Settings.load(overrides={"general.output": "x"})
    assert "plugins'" not in str(caught.value)
