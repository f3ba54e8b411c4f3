"""The model family keeps the contract, and does what only this one promises."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file

from sfumato.models import LoadedModel, PromptText
from sfumato.testing import ModelFamilyContract
from sfumato_swatch.family import COLOURS, SPREAD


def write_tiny_model(path: Path) -> Path:
    """A model of 64 words with colours of their own."""
    colours = torch.rand(64, 3, generator=torch.Generator().manual_seed(0)) * 2 - 1
    save_file({COLOURS: colours, SPREAD: torch.tensor(0.2)}, path)
    return path


class TestModel(ModelFamilyContract):
    name = "swatch"

    def write_checkpoint(self, folder: Path) -> Path:
        return write_tiny_model(folder / "tiny.safetensors")

    def test_a_prompt_means_the_mean_of_its_words(self, model: LoadedModel) -> None:
        one, other, both = (
            model.condition(PromptText(chunks=(((text, 1.0),),)), {}) for text in ("red", "sky", "sky red")
        )
        torch.testing.assert_close(both, (one + other) / 2)
