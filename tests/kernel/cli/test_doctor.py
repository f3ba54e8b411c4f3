"""`sfumato doctor`: what would stop a user is a problem, what is odd a warning, a failing check no crash."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..conftest import InstallPlugin
from .conftest import Outcome, Sfumato

CHECKS = """
from sfumato.checks import CheckResult
from sfumato.hookspecs import hookimpl

SFUMATO_API = "1.0"


def burn(studio):
    raise RuntimeError("smoke")


def leave(studio):
    raise SystemExit(0)


@hookimpl
def register_checks(checks):
    checks.add("leaving", leave, label="Leaving")
    checks.add("burning", burn, label="Burning")
    checks.add("missing", "nowhere:check", label="Missing")
"""


def states(outcome: Outcome) -> dict[str, str]:
    """State by label of every finding."""
    checks = outcome.json["checks"]
    return {result["label"]: result["state"] for check in checks for result in check["results"]}


def test_a_sound_installation_has_no_problem(sfumato: Sfumato) -> None:
    outcome = sfumato("doctor", "--json")
    assert outcome.code == 0
    found = states(outcome)
    assert set(found.values()) == {"ok"}
    assert {"Python", "tiny", "tiny.dots", "Output folder", "Model folder", "dot", "Brush"} <= set(found)


def test_the_table_says_so_too(sfumato: Sfumato) -> None:
    outcome = sfumato("doctor")
    assert outcome.code == 0
    assert outcome.lines[-1] == "No problem found."


def test_a_quarantined_plugin_is_a_problem(sfumato: Sfumato, install_plugin: InstallPlugin) -> None:
    install_plugin("broken", "raise RuntimeError('out of ink')")
    outcome = sfumato("doctor")
    assert outcome.code == 1
    assert "out of ink" in outcome.out
    assert outcome.lines[-1] == "1 problem found."


def test_a_check_that_fails_is_a_problem_of_its_own(
    sfumato: Sfumato,
    install_plugin: InstallPlugin,
) -> None:
    install_plugin("fire", CHECKS)
    outcome = sfumato("doctor", "--json")
    assert outcome.code == 1
    failed = {check["name"]: check for check in outcome.json["checks"] if check["plugin"] == "fire"}
    assert "SystemExit" in failed["leaving"]["results"][0]["detail"]
    assert "RuntimeError: smoke" in failed["burning"]["results"][0]["detail"]
    assert "nowhere" in failed["missing"]["results"][0]["detail"]


def test_a_wrong_setting_is_a_problem_and_the_rest_is_examined(sfumato: Sfumato) -> None:
    outcome = sfumato("--set", "tiny.dots=99", "doctor", "--json")
    assert outcome.code == 1
    assert states(outcome)["Wrong"] == "problem"
    assert states(outcome)["tiny.dots"] == "ok"


def test_a_setting_that_nobody_reads_is_a_warning(sfumato: Sfumato, settings_file: Path) -> None:
    with settings_file.open("a") as file:
        file.write("[gone]\nkey = 1\n")
    outcome = sfumato("doctor", "--json")
    assert outcome.code == 0
    assert states(outcome)["gone.key"] == "warning"


def test_an_output_folder_that_cannot_be_written_is_a_problem(sfumato: Sfumato, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    outcome = sfumato("--set", f"general.output_folder={tmp_path / 'file' / 'out'}", "doctor", "--json")
    assert outcome.code == 1
    assert states(outcome)["Output folder"] == "problem"


def test_a_damaged_model_is_a_warning(sfumato: Sfumato, tmp_path: Path) -> None:
    (tmp_path / "models" / "checkpoints").mkdir(parents=True)
    (tmp_path / "models" / "checkpoints" / "bad.tiny").write_text("{")
    outcome = sfumato("doctor", "--json")
    assert outcome.code == 0
    assert states(outcome)["bad.tiny"] == "warning"


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_without_any_model_there_is_a_problem(sfumato: Sfumato, words: tuple[str, ...]) -> None:
    sfumato("plugins", "disable", "tiny")
    assert sfumato("doctor", *words).code == 1


def test_what_a_check_prints_is_no_data(sfumato: Sfumato, install_plugin: InstallPlugin) -> None:
    install_plugin("fire", CHECKS.replace('raise RuntimeError("smoke")', 'print("crackle"); return []'))
    outcome = sfumato("doctor", "--json")
    assert "burning" in [check["name"] for check in outcome.json["checks"]]
    assert "crackle" in outcome.err


def test_a_check_that_hangs_is_a_problem(sfumato: Sfumato, install_plugin: InstallPlugin) -> None:
    loop = "import time\n    while True: time.sleep(0.01)"
    install_plugin("fire", CHECKS.replace('raise RuntimeError("smoke")', loop))
    outcome = sfumato("--set", "plugins.patience=0.5", "doctor", "--json")
    assert outcome.code == 1
    failed = {check["name"]: check for check in outcome.json["checks"] if check["plugin"] == "fire"}
    assert "did not return within 0.5 seconds" in failed["burning"]["results"][0]["detail"]
    assert "plugins.patience" in failed["burning"]["results"][0]["hint"]
