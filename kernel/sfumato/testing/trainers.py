"""The contract of trainers."""

from __future__ import annotations

import math
import random
import struct
import sys
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from sfumato.errors import BadInput, Cancelled
from sfumato.events import Event, EventBus, StepCompleted
from sfumato.registry import Entry
from sfumato.settings import Settings
from sfumato.studio import Studio
from sfumato.tasks import TaskContext
from sfumato.testing.entries import EntryContract
from sfumato.training import TrainerInfo, TrainingConfig, TrainingResult

COLOURS = {"red": (220, 30, 30), "green": (30, 180, 60), "blue": (40, 60, 210)}


def write_png(path: Path, colour: tuple[int, int, int], size: int = 16) -> None:
    """A square PNG of one colour."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    rows = (b"\0" + bytes(colour) * size) * size
    content = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + content)


class TrainerContract(EntryContract):
    """What a registered trainer promises, on three small pictures with captions.

    Attributes:
        config: Fields of the `TrainingConfig` that make a run last no longer than seconds.
    """

    registry: ClassVar[str] = "trainers"
    config: ClassVar[Mapping[str, Any]] = {}

    def write_dataset(self, folder: Path) -> None:
        """Fill an empty folder with pictures and captions; override it for a trainer that wants others."""
        for name, colour in COLOURS.items():
            write_png(folder / f"{name}.png", colour)
            (folder / f"{name}.txt").write_text(f"a {name} square", "utf-8")

    @pytest.fixture
    def dataset(self, tmp_path: Path) -> Path:
        folder = tmp_path / "dataset"
        folder.mkdir()
        self.write_dataset(folder)
        return folder

    @pytest.fixture
    def context(self, tmp_path: Path) -> TaskContext:
        """What a task gets, in a studio with the settings that nobody changed."""
        studio = Studio(Settings.load(file=tmp_path / "settings.toml", environ={}))
        return TaskContext(studio.registries, studio.library, studio.settings, tmp_path, EventBus())

    def configured(
        self, dataset: Path, output: Path, given_options: dict[str, Any], **fields: Any
    ) -> TrainingConfig:
        given = {"steps": 3, "resolution": 16, **self.config, **fields}
        return TrainingConfig(
            trainer=self.name, dataset=dataset, output=output, options=given_options, **given
        )

    @pytest.fixture
    def output(self, tmp_path: Path) -> Path:
        """In a folder that has nothing else."""
        (tmp_path / "trained").mkdir()
        return tmp_path / "trained" / "weights.safetensors"

    def test_it_writes_weights_and_tells_of_every_step(
        self,
        entry: Entry[TrainerInfo],
        dataset: Path,
        output: Path,
        given_options: dict[str, Any],
        context: TaskContext,
    ) -> None:
        steps: list[StepCompleted] = []
        context.events.subscribe(
            lambda event: steps.append(event) if isinstance(event, StepCompleted) else None
        )
        config = self.configured(dataset, output, given_options)
        result: TrainingResult = entry.load()(config, context)
        assert result.path == output
        assert result.steps == config.steps
        assert math.isfinite(result.loss)
        assert output.stat().st_size > 0
        assert list(output.parent.iterdir()) == [output], "something is left beside the weights"
        assert [event.step for event in steps] == list(range(1, config.steps + 1))

    def test_cancelled_it_leaves_no_weights(
        self,
        entry: Entry[TrainerInfo],
        dataset: Path,
        output: Path,
        given_options: dict[str, Any],
        context: TaskContext,
    ) -> None:
        def cancel(event: Event) -> None:
            if isinstance(event, StepCompleted):
                context.cancel.cancel()

        context.events.subscribe(cancel)
        with pytest.raises(Cancelled):
            entry.load()(self.configured(dataset, output, given_options), context)
        assert list(output.parent.iterdir()) == []

    @pytest.mark.parametrize("kind", ["empty", "absent"])
    def test_a_dataset_without_pictures_is_refused(
        self,
        entry: Entry[TrainerInfo],
        tmp_path: Path,
        output: Path,
        given_options: dict[str, Any],
        context: TaskContext,
        kind: str,
    ) -> None:
        folder = tmp_path / kind
        if kind == "empty":
            folder.mkdir()
        with pytest.raises(BadInput, match=kind):
            entry.load()(self.configured(folder, output, given_options), context)
        assert list(output.parent.iterdir()) == []

    def test_the_same_seed_gives_the_same_weights(
        self,
        entry: Entry[TrainerInfo],
        dataset: Path,
        output: Path,
        given_options: dict[str, Any],
        context: TaskContext,
    ) -> None:
        paths = [output.with_stem(f"run-{i}") for i in range(2)]
        for path in paths:
            entry.load()(self.configured(dataset, path, given_options, seed=7), context)
            skip_random_numbers()
        if paths[0].read_bytes() != paths[1].read_bytes():  # a file may tell when it was written
            import torch

            first, second = (dict(context.library.open_tensors(path)) for path in paths)
            assert first
            torch.testing.assert_close(first, second, rtol=0, atol=0)


def skip_random_numbers() -> None:
    """The program's own random numbers go on: who draws from them is not the same twice."""
    random.random()
    for name in ("torch", "numpy.random"):
        if name in sys.modules:
            sys.modules[name].rand(3)
