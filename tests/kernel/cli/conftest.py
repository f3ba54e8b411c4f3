"""The command line in this process, with one tiny plugin: a family, a format, and a quick 'generate'."""

from __future__ import annotations

import io
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest
from importlib_metadata import entry_points

from sfumato.cli import main

from ..conftest import InstallPlugin

TINY_PLUGIN = """
import json
import signal
import time
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field

from sfumato.checks import CheckResult
from sfumato.errors import CheckpointError, SfumatoError
from sfumato.events import ImageSaved, PhaseStarted, StepCompleted, Warned
from sfumato.hookspecs import hookimpl
from sfumato.models import CheckpointHeader, ModelInfo, TensorInfo
from sfumato.records import GenerationResult, ImageRecord

SFUMATO_API = "1.0"
print("imported")


class TinyOptions(BaseModel):
    hue: float = Field(default=0.5, ge=0, le=1, description="Which hue.")
    paper: Literal["white", "black"] | None = Field(default=None, description="Which paper.")
    rough: bool = Field(default=False, description="Rough edges.")


class OtherOptions(BaseModel):
    hue: int = 3


class TinyFamily:
    options = TinyOptions

    def detect(self, header):
        if "tiny" in header.tensors:
            return ModelInfo(name=header.path.stem, family="tiny", path=header.path, format="tiny")
        return None


class OtherFamily:
    options = OtherOptions

    def detect(self, header):
        return None


class TinyFormat:
    def read_header(self, path):
        try:
            names = json.loads(path.read_text())
        except ValueError:
            raise CheckpointError(f"'{path.name}' is damaged.", why="It is not JSON.", hint="Get it again.")
        tensors = {name: TensorInfo("F32", (4,), 16 * i, 16 * i + 16) for i, name in enumerate(names)}
        return CheckpointHeader(path, "single_file", "tiny", tensors)


class TinySettings(BaseModel):
    dots: int = Field(default=3, ge=1, le=9, description="How many dots.")


def generate(request, context):
    print("drawing")
    if request.prompt == "fail":
        raise SfumatoError("The brush broke.", why="It was old.", hint="Buy a new one.")
    if request.prompt == "crash":
        raise RuntimeError("no such colour")
    context.events.emit(PhaseStarted(phase="loading"))
    context.events.emit(Warned(message="The paint is wet."))
    folder = Path(context.output_folder)
    folder.mkdir(parents=True, exist_ok=True)
    images = []
    for number in range(request.count * request.batch_size):
        context.cancel.check()
        rate = {"steps_per_second": 2, "seconds_left": 61}
        context.events.emit(StepCompleted(step=4, steps=4, batch=number, batches=request.count, **rate))
        path = folder / f"{len(list(folder.iterdir())):05}.png"
        path.write_bytes(b"picture")
        seed, infotext = request.seed + number, request.model_dump_json()
        image = ImageRecord(path=path, seed=seed, width=8, height=8, infotext=infotext, request=request)
        context.events.emit(ImageSaved(image=image))
        images.append(image)
        if request.prompt == "interrupt":
            signal.raise_signal(signal.SIGINT)
        if request.prompt == "interrupt twice":
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
    return GenerationResult(images=tuple(images), seconds=1)


def check(studio):
    return [CheckResult(label="Brush", detail="soft")]


@hookimpl
def register_model_families(families):
    families.add("tiny", TinyFamily, label="Tiny")
    families.add("other", OtherFamily, label="Other")


@hookimpl
def register_weight_formats(formats):
    formats.add("tiny", TinyFormat, label="Tiny", suffixes=(".tiny",))


@hookimpl
def register_models(models):
    models.add("dot", str(Path(__file__).with_name("dot.tiny")), label="Dot")


@hookimpl
def register_tasks(tasks):
    tasks.add("generate", generate, label="Generate")


@hookimpl
def register_settings(sections):
    sections.add("tiny", TinySettings, label="Tiny")


@hookimpl
def register_checks(checks):
    checks.add("tiny", check, label="Tiny things")
"""


@dataclass(frozen=True)
class Outcome:
    """What a run of the command line left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


class Sfumato(Protocol):
    """Runs `sfumato` with these words."""

    def __call__(self, *words: str, stdin: str = "") -> Outcome: ...


@pytest.fixture
def settings_file(install_plugin: InstallPlugin, tmp_path: Path) -> Path:
    """A settings file under which only the tiny plugin takes part."""
    installed = sorted(point.name for point in entry_points(group="sfumato"))
    install_plugin("tiny", TINY_PLUGIN)
    (tmp_path / "site" / "dot.tiny").write_text('["tiny"]')
    file = Path(os.environ["SFUMATO_CONFIG"])
    file.write_text(
        f"[plugins]\ndisabled = {json.dumps(installed)}\n"
        f"[general]\nmodel_folders = {json.dumps([str(tmp_path / 'models')])}\n"
    )
    return file


@pytest.fixture
def sfumato(
    settings_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Sfumato:
    """The command line, run in an empty folder."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setenv("COLUMNS", "100")

    def run(*words: str, stdin: str = "") -> Outcome:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        capsys.readouterr()
        code = main(words)
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run
