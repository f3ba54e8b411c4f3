"""`sfumato plugins new` writes packages that can be installed and pass their own tests as they come."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from sfumato.cli.app import main
from sfumato.errors import SfumatoError
from sfumato.scaffold.names import LONGEST_NAME, PluginName
from sfumato.scaffold.package import HOOKS, Kind, package_files, write_package

ROOT = Path(__file__).resolve().parents[2]
KINDS: tuple[Kind, ...] = get_args(Kind)
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "--quiet"]


def run(command: list[str | Path], **environ: str) -> str:
    """Standard output; a failure shows everything that was said."""
    environment = {**os.environ, **environ}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, f"{command}\n{done.stdout[-8000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A new package of each kind."""
    folder = tmp_path_factory.mktemp("packages")
    return [write_package(PluginName.parse(f"my-{kind}"), kind, folder) for kind in KINDS]


@pytest.fixture(scope="module")
def site(packages: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the import path with the packages installed in it."""
    folder = tmp_path_factory.mktemp("site")
    run([*PIP, "install", "--no-deps", "--no-build-isolation", "--target", folder, *packages])
    return folder


@pytest.mark.slow
def test_a_new_package_of_each_kind_passes_its_own_tests(packages: list[Path], site: Path) -> None:
    options = ["-q", "-rA", "-W", "error", "-p", "no:cacheprovider", "--import-mode=importlib"]
    command = [sys.executable, "-m", "pytest", *options, "--rootdir", packages[0].parent, *packages]
    report = run(command, PYTHONPATH=str(site))
    passed = [line for line in report.splitlines() if line.startswith("PASSED")]
    for package in packages:
        own = [line for line in passed if f"{package.name}/tests/test_" in line]
        assert {line.partition("/tests/")[2].partition(".py")[0] for line in own} >= {"test_plugin"}
        assert len(own) > 10, package.name


@pytest.mark.slow
def test_the_types_of_a_new_package_are_right_by_our_own_settings(packages: list[Path], site: Path) -> None:
    pytest.importorskip("mypy", reason="make lint installs it")
    settings = ROOT / "pyproject.toml"
    code = [package / package.name.replace("-", "_") for package in packages]
    run([sys.executable, "-m", "mypy", "--config-file", settings, *code], MYPYPATH=str(site))


@pytest.mark.parametrize("text", ["x", "film-grain", LONGEST_NAME * "w"])
def test_a_package_is_formatted_whatever_its_name(text: str, tmp_path: Path) -> None:
    pytest.importorskip("ruff", reason="make lint installs it")
    packages = [write_package(PluginName.parse(text), kind, tmp_path / kind) for kind in KINDS]
    settings = ROOT / "pyproject.toml"
    run([sys.executable, "-m", "ruff", "format", "--check", "--config", settings, *packages])
    run([sys.executable, "-m", "ruff", "check", "--config", settings, *packages])


@pytest.mark.slow
def test_an_installed_sampler_is_listed_at_once(site: Path) -> None:
    command = [sys.executable, "-c", "from sfumato.cli.program import run; run()", "samplers", "--json"]
    listed = json.loads(run(command, PYTHONPATH=str(site)))
    assert "my_sampler" in {sampler["name"] for sampler in listed}


def test_the_command_tells_what_to_do_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugins", "new", "soft-light", "--kind", "stage", "--out", str(tmp_path / "new")]) == 0
    folder = tmp_path / "new" / "sfumato-soft-light"
    printed = capsys.readouterr().out
    assert f"pip install -e '{folder}[test]'" in printed
    assert f"pytest {folder}" in printed
    assert "soft_light = " in (folder / "pyproject.toml").read_text("utf-8")


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = tmp_path / "sfumato-soft-light" / "mine.txt"
    kept.parent.mkdir()
    kept.write_text("mine", "utf-8")
    assert main(["plugins", "new", "soft_light", "--kind", "page", "--out", str(tmp_path)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert [path.name for path in tmp_path.rglob("*")] == ["sfumato-soft-light", "mine.txt"]


@pytest.mark.parametrize(
    "name",
    [
        "",
        "../up",
        "/root",
        "Up",
        "a--b",
        "-a",
        "a-",
        "1a",
        "a b",
        "a.b",
        "a\nb",
        "ä",
        "$x",
        "sfumato-",
        "a" * 31,
    ],
)
def test_a_name_that_cannot_be_is_refused(name: str, tmp_path: Path) -> None:
    assert main(["plugins", "new", "--kind", "sampler", "--out", str(tmp_path / "new"), "--", name]) == 2
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("name", "kind"), [("euler", "sampler"), ("samplers", "page"), ("kernel", "stage"), ("flux", "model")]
)
def test_a_name_that_is_taken_is_refused(
    name: str, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plugins", "new", name, "--kind", kind, "--out", str(tmp_path)]) == 2
    assert name in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_kind_that_is_none_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugins", "new", "soft-light", "--kind", "filter", "--out", str(tmp_path)]) == 2
    assert "'sampler'" in capsys.readouterr().err


def test_a_name_may_have_the_prefix_of_distributions() -> None:
    assert PluginName.parse("sfumato-film-grain") == PluginName.parse("film_grain")


def test_nothing_is_left_behind_when_the_disk_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(self: Path, *args: object, **kwargs: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full_disk)
    with pytest.raises(SfumatoError, match="No space left"):
        write_package(PluginName.parse("soft-light"), "page", tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", KINDS)
def test_no_placeholder_is_left_in_a_package(kind: Kind) -> None:
    written = package_files(PluginName.parse("soft-light"), kind)
    assert not [path for path, text in written.items() if "$" in path + text or "PACKAGE" in path]
    assert HOOKS[kind] in written["sfumato_soft_light/plugin.py"]
