"""What fails or hangs once the plugins are loaded: checks, code imported on use, code that is called."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from sfumato import Studio
from sfumato.cli.generation import cancel_on_interrupt
from sfumato.doctor import examine
from sfumato.errors import PluginError
from sfumato.events import CancelToken
from sfumato.settings import Settings

from ..conftest import InstallPlugin
from .conftest import FAILURES, LONG, TOLD, each_failure, head, hook, parameter, patience, run_program


@each_failure
def test_failing_in_a_check(
    failure: str, install_plugin: InstallPlugin, settings: Callable[[float], Settings]
) -> None:
    add = hook("register_checks", "checks.add('drill', fail, label='Drill')")
    install_plugin("drill", head(failure) + add)
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
    add = hook("register_checks", f"checks.add('drill', lambda studio: {answer}, label='Drill')")
    install_plugin("drill", head() + add)
    (diagnosis,) = [found for found in examine(Studio(settings(LONG))) if found.plugin == "drill"]
    assert [result.state for result in diagnosis.results] == ["problem"]


KINDS = ("samplers", "schedulers", "model_families", "tasks")


CALL = hook("register_tasks", "tasks.add('call', lambda request, context: request(context), label='Call')")


def drilled_studio(install_plugin: InstallPlugin, kind: str, target: str, settings: Settings) -> Studio:
    """A studio whose `kind` "drill" is that target, and whose task "call" calls what it is given."""
    name = f"register_{kind}"
    add = hook(name, f"{parameter(name)}.add('drill', {target!r}, label='Drill')")
    install_plugin("drill", head() + add)
    install_plugin("caller", head() + CALL)
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


def test_a_family_whose_options_are_nonsense_is_no_end_of_generating(
    install_plugin: InstallPlugin, tmp_path: Path, bundled: tuple[str, ...]
) -> None:
    add = hook("register_model_families", "families.add('f', fail, label='F')")
    install_plugin("drill", head() + "fail.options = 5\n" + add)
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
    install_plugin("drill", head() + MODEL_PARTS.format(**{**sound, broken: NONSENSE[failure]}))
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
    add = hook("register_models", "models.add('odd', fail, label='Odd')")
    install_plugin("drill", head() + add)
    outcome = run_program(tmp_path, bundled, "models", "--json")
    assert outcome.returncode == 0, outcome.stderr
    (problem,) = json.loads(outcome.stdout)["problems"]
    assert "'odd' from plugin 'drill' cannot be found" in problem["message"]
