"""The Gaussian workbench with a real model library, and pictures whose texts can be rewritten."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from sfumato.file_hashes import FileHashes
from sfumato.library import ModelLibrary
from sfumato.models import CheckpointHeader, ModelInfo
from sfumato.replay import ReplayReport, ReplayRequest
from sfumato.request import RequestDefaults
from sfumato.tasks import TaskContext
from sfumato_engine.replay.replay import replay
from sfumato_pictures.metadata import PARAMETERS, STORY

from ..conftest import Workbench
from ..gaussian_model import GaussianFamily

DEFAULTS = RequestDefaults(steps=4, width=32, height=32, cfg_scale=2.0, scheduler="flow")


class ListedFamily(GaussianFamily):
    """Takes every file for a Gaussian model of the file's name."""

    def detect(self, header: CheckpointHeader) -> ModelInfo | None:
        path = header.path
        return ModelInfo(name=path.stem, family="gaussian", variant="dev", path=path, defaults=DEFAULTS)


class NoTensors:
    """Weight files without a header."""

    def read_header(self, path: Path) -> CheckpointHeader:
        return CheckpointHeader(path, "single_file", "none", {})

    def open_tensors(self, path: Path) -> dict[str, Any]:
        return {}


@dataclass
class ReplayBench(Workbench):
    """A workbench whose models lie in a model folder."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.registries.withdraw("gaussian")
        families = self.registries.model_families.registrar("gaussians")
        families.add("gaussian", ListedFamily, label="Gaussian")
        families.commit()
        formats = self.registries.weight_formats.registrar("gaussians")
        formats.add("none", NoTensors, label="None", suffixes=(".safetensors",))
        formats.commit()
        self.models = self.folder / "models" / "checkpoints"
        self.models.mkdir(parents=True)
        self.model_file = self.add_model("gauss", b"the weights")

    def add_model(self, name: str, content: bytes) -> Path:
        path = self.models / f"{name}.safetensors"
        path.write_bytes(content)
        return path

    @property
    def context(self) -> TaskContext:
        hashes = FileHashes(self.folder / "hashes.json")
        library = ModelLibrary([self.models.parent], self.registries, hashes, "gauss")
        return replace(super().context, library=library)

    def draw(self, prompt: str = "a red apple", **fields: Any) -> Path:
        """The first picture of a request."""
        return self.generate(prompt, **{"seed": 7, **fields}).images[0].path

    def replay(self, path: Path, **changes: Any) -> ReplayReport:
        return replay(ReplayRequest(path=path, changes=changes), self.context)


@pytest.fixture
def bench(tmp_path: Path) -> ReplayBench:
    return ReplayBench(tmp_path)


def texts_of(path: Path) -> dict[str, str]:
    with Image.open(path) as image:
        image.load()
        return dict(image.text)  # type: ignore[attr-defined]


def story_of(path: Path) -> dict[str, Any]:
    story: dict[str, Any] = json.loads(texts_of(path)[STORY])
    return story


def rewritten(path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """A copy of a picture whose story was changed in place by `change`."""
    story = story_of(path)
    change(story)
    return with_texts(path, {STORY: json.dumps(story)})


def with_infotext(path: Path, text: str) -> Path:
    """A copy of a picture that has only an infotext."""
    return with_texts(path, {PARAMETERS: text})


def with_texts(path: Path, texts: dict[str, str]) -> Path:
    copy = path.with_name(f"copy-{path.name}")
    chunks = PngInfo()
    for keyword, text in texts.items():
        chunks.add_text(keyword, text)
    with Image.open(path) as image:
        image.save(copy, pnginfo=chunks)
    return copy


def repainted(path: Path, change: Callable[[Image.Image], Image.Image]) -> Path:
    """A copy of a picture with other pixels and the same texts."""
    copy = path.with_name(f"repainted-{path.name}")
    chunks = PngInfo()
    for keyword, text in texts_of(path).items():
        chunks.add_text(keyword, text)
    with Image.open(path) as image:
        change(image.convert("RGB")).save(copy, pnginfo=chunks)
    return copy
