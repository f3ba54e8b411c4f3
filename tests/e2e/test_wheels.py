"""Kernel and plugins as people install them: wheels in a clean environment, no source tree in sight.

Nothing is downloaded: the environment gets links to what is installed here of all that the wheels ask for.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Iterable
from email import message_from_bytes
from importlib.metadata import Distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECTS = [ROOT / "kernel", *sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))]
PIP = ["--disable-pip-version-check", "--no-input", "--quiet"]

pytestmark = pytest.mark.slow


def run(command: list[str | Path], cwd: Path) -> str:
    """Standard output; a failure shows everything that was said."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, f"{command}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One wheel a distribution, built with the tools installed here."""
    folder = tmp_path_factory.mktemp("wheels")
    build = [sys.executable, "-m", "pip", "wheel", *PIP, "--no-deps", "--no-build-isolation", "-w", folder]
    run([*build, *PROJECTS, ROOT], folder)
    return folder


@pytest.fixture(scope="session")
def installation(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the programs of an environment that has the wheels and what they say they need."""
    folder = tmp_path_factory.mktemp("clean")
    venv.create(folder, symlinks=os.name != "nt")
    site = Path(sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)}))
    for package in needed(sorted(wheels.glob("*.whl"))):
        link(package, site)
    programs = folder / ("Scripts" if os.name == "nt" else "bin")
    install = [sys.executable, "-m", "pip", "--python", programs / "python", "install", *PIP]
    run([*install, "--no-index", "--find-links", wheels, *sorted(wheels.glob("*.whl"))], folder)
    return programs


def needed(wheels: Iterable[Path]) -> list[Distribution]:
    """What is installed here of all that the wheels ask for, and that asks for in turn, but our own."""
    own = {canonicalize_name(wheel.name.partition("-")[0]) for wheel in wheels}
    asked = {requirement for wheel in wheels for requirement in applying(requirements_of(wheel), set())}
    found: dict[tuple[str, frozenset[str]], Distribution] = {}
    while asked:
        requirement = asked.pop()
        name, extras = canonicalize_name(requirement.name), frozenset(requirement.extras)
        if name not in own and (name, extras) not in found:
            found[name, extras] = package = Distribution.from_name(name)
            asked |= applying(package.requires or [], extras)
    return list(found.values())


def applying(texts: Iterable[str], extras: Iterable[str]) -> set[Requirement]:
    """The requirements that count on this machine, with these extras."""
    requirements = {Requirement(text) for text in texts}
    return {
        requirement
        for requirement in requirements
        if not requirement.marker
        or any(requirement.marker.evaluate({"extra": extra}) for extra in ("", *extras))
    }


def requirements_of(wheel: Path) -> list[str]:
    """A wheel's requirements."""
    archive = zipfile.ZipFile(wheel)
    (file,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
    return message_from_bytes(archive.read(file)).get_all("Requires-Dist", [])


def link(package: Distribution, site: Path) -> None:
    """Put a package that is installed here into another environment's site-packages."""
    for top in {file.parts[0] for file in package.files or []} - {"..", "__pycache__"}:
        if not (site / top).exists():
            source = Path(str(package.locate_file(top)))
            try:
                (site / top).symlink_to(source, target_is_directory=source.is_dir())
            except OSError:
                pytest.skip("links cannot be made here")


def contents(wheels: Path) -> dict[str, list[str]]:
    """File names in each wheel by distribution."""
    return {path.name.partition("-")[0]: zipfile.ZipFile(path).namelist() for path in wheels.glob("*.whl")}


def test_every_distribution_builds_a_wheel(wheels: Path) -> None:
    expected = {"sfumato", "sfumato_kernel"} | {f"sfumato_{project.name}" for project in PROJECTS[1:]}
    assert set(contents(wheels)) == expected


def test_wheels_hold_their_package_and_nothing_else(wheels: Path) -> None:
    for distribution, names in contents(wheels).items():
        package = "sfumato" if distribution == "sfumato_kernel" else distribution
        tops = {name.partition("/")[0] for name in names}
        expected = {package} if distribution != "sfumato" else set()
        assert {top for top in tops if not top.endswith(".dist-info")} == expected
        ours = [name for name in names if not name.startswith(("sfumato/testing/", "sfumato/scaffold/"))]
        assert not [name for name in ours if "test" in name or "__pycache__" in name or name.endswith(".log")]


def test_the_kernel_brings_the_contract_suite_and_every_template(wheels: Path) -> None:
    names = set(contents(wheels)["sfumato_kernel"])
    kernel = ROOT / "kernel"
    expected = [*(kernel / "sfumato/testing").glob("*.py"), *(kernel / "sfumato").rglob("*.template")]
    assert len(expected) > 30
    assert {path.relative_to(kernel).as_posix() for path in expected} <= names


def test_wheels_tell_that_they_are_typed(wheels: Path) -> None:
    for distribution, names in contents(wheels).items():
        package = "sfumato" if distribution == "sfumato_kernel" else distribution
        assert distribution == "sfumato" or f"{package}/py.typed" in names


def test_wheels_carry_their_licence(wheels: Path) -> None:
    for path in wheels.glob("*.whl"):
        wheel = zipfile.ZipFile(path)
        licence = next(name for name in wheel.namelist() if name.endswith("/licenses/LICENSE"))
        assert wheel.read(licence) == (ROOT / "LICENSE").read_bytes()


def test_the_embedded_model_travels_with_its_tokenizers_and_notices(wheels: Path) -> None:
    names = contents(wheels)["sfumato_model_emoji"]
    weights = "sfumato_model_emoji/weights"
    assert f"{weights}/emoji_flux.safetensors" in names
    assert {f"{weights}/tokenizers/{kind}/tokenizer.json" for kind in ("clip_l", "t5xxl")} <= set(names)
    assert any("NOTICE" in name for name in names)
    path = next(wheels.glob("sfumato_model_emoji-*.whl"))
    assert path.stat().st_size < 30_000_000


def test_a_clean_installation_draws_a_picture(installation: Path, tmp_path: Path) -> None:
    command = [installation / "sfumato", "generate", "a red apple", "--seed", "7", "--steps", "4"]
    printed = run([*command, "--out", tmp_path, "--json"], tmp_path)
    image = json.loads(printed.splitlines()[-1])
    assert Path(image["path"]).read_bytes().startswith(b"\x89PNG")
    assert (image["seed"], image["width"], image["height"]) == (7, 64, 64)
    assert "Seed: 7" in image["infotext"]


def test_a_clean_installation_has_every_plugin_active(installation: Path, tmp_path: Path) -> None:
    plugins = json.loads(run([installation / "sfumato", "plugins", "--json"], tmp_path))
    states = {plugin["name"]: plugin["state"] for plugin in plugins}
    assert states == {project.name: "active" for project in PROJECTS[1:]}


def test_no_peer_is_installed_with_sfumato(installation: Path, tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--python", installation / "python"]
    listed = json.loads(run([*pip, "list", "--format=json"], tmp_path))
    assert {"sfumato", "torch"} <= {package["name"].lower() for package in listed}
    assert not {"diffusers", "transformers", "k-diffusion"} & {package["name"].lower() for package in listed}
