"""What plugins print is no data, and what they leave behind does not keep the program from ending."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ..conftest import InstallPlugin
from .conftest import SHORT, SOUND, head, run_program

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


def test_data_on_stdout_is_not_mixed_with_what_plugins_print(
    install_plugin: InstallPlugin, tmp_path: Path, bundled: tuple[str, ...]
) -> None:
    install_plugin("drill", head() + CHATTY)
    outcome = run_program(tmp_path, bundled, "samplers", "--json")
    assert outcome.returncode == 0, outcome.stderr
    (sampler,) = json.loads(outcome.stdout)
    assert (sampler["name"], sampler["plugin"], sampler["replaces"]) == ("chatty", "drill", "")
    for line in ("imported", "a program of mine", "and another thing", "registering"):
        assert line in outcome.stderr


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
    outcome = run_program(tmp_path, bundled, "samplers", "--json", to_end=0.3)
    assert outcome.returncode == 0
    assert json.loads(outcome.stdout)
    assert "the program ends without it" in outcome.stderr


def test_a_plugin_waiting_for_the_keyboard_is_left_behind_with_an_orderly_end(
    install_plugin: InstallPlugin, tmp_path: Path, bundled: tuple[str, ...]
) -> None:
    install_plugin("drill", head() + "input('Your name? ')\n")
    install_plugin("zz_sound", SOUND.format(name="sound"))
    outcome = run_program(tmp_path, bundled, "samplers", "--json", patience=SHORT)
    assert outcome.returncode == 0, outcome.stderr
    assert [sampler["name"] for sampler in json.loads(outcome.stdout)] == ["sound"]
    assert "Plugin 'drill' is quarantined" in outcome.stderr


def test_c_code_that_lets_nothing_else_run_ends_the_program_and_is_told(
    install_plugin: InstallPlugin, tmp_path: Path, bundled: tuple[str, ...]
) -> None:
    install_plugin("drill", head() + "import re\nre.match('(a+)+$', 'a' * 60 + 'b')\n")
    outcome = run_program(tmp_path, bundled, "samplers", "--json", patience=SHORT, to_end=0.3)
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
    install_plugin("drill", head() + source)
    outcome = run_program(tmp_path, bundled, "doctor", "--json")
    assert any(check["name"] == "drill" for check in json.loads(outcome.stdout)["checks"])
    for line in ("goodbye", "checking"):
        assert line in outcome.stderr
