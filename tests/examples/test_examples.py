"""The plugins of the tutorial: installed by pip, they pass their own tests and do what the tutorial says."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from sfumato.scaffold.names import PluginName
from sfumato.scaffold.package import Kind, package_files

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted(path.parent for path in (ROOT / "examples").glob("*/pyproject.toml"))
SCAFFOLDED: dict[str, Kind] = {
    "swatch": "model",
    "film-grain": "stage",
    "sampler-table": "page",
    "word-colours": "trainer",
}
BY_HAND = [example for example in EXAMPLES if example.name.removeprefix("sfumato-") not in SCAFFOLDED]
LEFT_BY_TOOLS = {"__pycache__", ".ruff_cache", ".pytest_cache", ".mypy_cache"}
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "--quiet"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the import path with all examples installed in it."""
    folder = tmp_path_factory.mktemp("site")
    copies = [copy_of(example, tmp_path_factory.mktemp("source")) for example in EXAMPLES]
    run([*PIP, "install", "--no-deps", "--no-build-isolation", "--target", str(folder), *map(str, copies)])
    return folder


def copy_of(example: Path, folder: Path) -> Path:
    """Built elsewhere: building leaves folders behind."""
    return Path(shutil.copytree(example, folder / example.name, ignore=shutil.ignore_patterns("__pycache__")))


def run(command: list[str], **environ: str) -> str:
    """Standard output; a failure shows everything that was said."""
    environment = {**os.environ, **environ}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, f"{command}\n{done.stdout[-8000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def sfumato(site: Path, *words: str) -> str:
    program = "from sfumato.cli.program import run; raise SystemExit(run())"
    return run([sys.executable, "-c", program, *words], PYTHONPATH=str(site))


@pytest.mark.slow
def test_the_examples_written_by_hand_pass_their_own_tests(site: Path) -> None:
    """The others are what `plugins new` writes, whose tests tests/e2e/test_scaffold.py runs."""
    quiet = ["-q", "-rA", "-p", "no:cacheprovider", "-c", os.devnull]
    options = [*quiet, "-W", "error", "--import-mode=importlib"]
    folders = [str(example / "tests") for example in BY_HAND]
    command = [sys.executable, "-m", "pytest", *options, "--rootdir", str(ROOT / "examples"), *folders]
    report = run(command, PYTHONPATH=str(site))
    passed = re.findall(r"^PASSED .*?(sfumato-[a-z-]+)", report, re.MULTILINE)
    by_hand = {"sfumato-clear-faces", "sfumato-midpoint", "sfumato-palette", "sfumato-plain-euler"}
    assert {example.name for example in BY_HAND} == set(passed) == by_hand


@pytest.mark.slow
def test_an_installed_sampler_is_listed_at_once_and_one_that_was_replaced_says_by_whom(site: Path) -> None:
    listed = {sampler["name"]: sampler for sampler in json.loads(sfumato(site, "samplers", "--json"))}
    assert listed["midpoint"]["label"] == "Midpoint"
    assert listed["euler"]["options"] == []
    assert "euler" in sfumato(site, "plugins", "show", "plain_euler")


@pytest.mark.slow
def test_a_picture_is_drawn_with_a_sampler_and_a_stage_of_the_examples(site: Path, tmp_path: Path) -> None:
    words = ["generate", "a red apple", "--seed", "7", "--steps", "2", "--sampler", "midpoint", "--json"]
    plain, grainy = (
        Path(
            json.loads(sfumato(site, *words, *more, "--out", str(tmp_path / folder)).splitlines()[-1])["path"]
        )
        for folder, more in (("plain", []), ("grainy", ["--stage", "film_grain.amount=0.2"]))
    )
    with Image.open(plain) as clean, Image.open(grainy) as noisy:  # the files differ in their text anyway
        assert clean.size == noisy.size
        assert clean.tobytes() != noisy.tobytes()


@pytest.mark.slow
def test_faces_are_mended_by_the_face_restorer_of_the_examples(site: Path, tmp_path: Path) -> None:
    skin = Image.new("RGB", (32, 32), (224, 172, 140))
    skin.paste((200, 150, 120), (0, 0, 16, 32))
    skin.save(tmp_path / "skin.png")
    words = ["upscale", str(tmp_path / "skin.png"), "--upscaler", "nearest", "--scale", "1"]
    plain, mended = (
        Path(sfumato(site, *words, *more, "--out", str(tmp_path / folder)).strip())
        for folder, more in (("plain", []), ("mended", ["--face-restorer", "clear_faces"]))
    )
    with Image.open(plain) as before, Image.open(mended) as after:
        assert before.tobytes() == skin.tobytes()
        assert after.tobytes() != skin.tobytes()
        assert "Clear Faces" in after.text["postprocessing"]


def test_the_sampler_of_the_tutorial_has_less_than_25_lines() -> None:
    source = (ROOT / "examples" / "sfumato-midpoint" / "sfumato_midpoint.py").read_text("utf-8")
    assert len(source.splitlines()) < 25


@pytest.mark.parametrize("name", SCAFFOLDED)
def test_an_example_is_what_plugins_new_writes(name: str) -> None:
    folder = ROOT / "examples" / f"sfumato-{name}"
    expected = package_files(PluginName.parse(name), SCAFFOLDED[name])
    written = {
        path.relative_to(folder).as_posix(): path.read_text("utf-8")
        for path in folder.rglob("*")
        if path.is_file() and not LEFT_BY_TOOLS & set(path.parts)
    }
    expected["LICENSE"] = (ROOT / "LICENSE").read_text("utf-8")  # chosen for this repository
    assert written == expected
