"""The trainer keeps the contract, and does what only this one promises."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sfumato.errors import BadInput
from sfumato.tasks import TaskContext
from sfumato.testing import TrainerContract
from sfumato_word_colours.trainer import train


class TestTrainer(TrainerContract):
    name = "word_colours"

    def test_it_learns(
        self, dataset: Path, output: Path, given_options: dict[str, Any], context: TaskContext
    ) -> None:
        short = self.configured(dataset, output, given_options, learning_rate=0.05, batch_size=3)
        long = short.model_copy(update={"steps": 300})
        assert train(long, context).loss < train(short, context).loss / 2

    def test_a_picture_that_is_none_is_named(
        self, dataset: Path, output: Path, given_options: dict[str, Any], context: TaskContext
    ) -> None:
        (dataset / "broken.png").write_bytes(b"no picture")
        with pytest.raises(BadInput, match=r"broken\.png"):
            train(self.configured(dataset, output, given_options), context)
