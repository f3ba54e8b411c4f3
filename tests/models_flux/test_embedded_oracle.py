"""The embedded model through diffusers' FluxPipeline gives the same pictures."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sfumato.models import Placement, PromptText
from sfumato_models_flux.family import FluxFamily
from sfumato_models_flux.model import FluxModel

from ..tiny_models import library_of
from ..tiny_models.stored import StoredFlux
from .drawing import Wish, assert_same_picture

pytest.importorskip("diffusers")
model_emoji = pytest.importorskip("sfumato_model_emoji.plugin")
WEIGHTS: Path = model_emoji.WEIGHTS / "emoji_flux.safetensors"

WISHES = [
    Wish("a red apple", "", cfg_scale=3.0, width=64, height=64, steps=6),
    Wish("A GREEN frog, smiling!", "blue", cfg_scale=1.0, width=96, height=64, steps=4),
]


@pytest.fixture(scope="module")
def model() -> FluxModel:
    library = library_of()
    info = library.detect(WEIGHTS)
    return FluxFamily().load(info, library, Placement(dtype="float32"))


@pytest.fixture(scope="module")
def pipeline(model: FluxModel):
    from ..tiny_models.oracle import flux_pipeline

    scaling = (model.scaling.scale, model.scaling.shift)
    tokenizers = WEIGHTS.parent / "tokenizers"
    return flux_pipeline(StoredFlux(WEIGHTS), tokenizers, shift=1.0, scaling=scaling)


@pytest.mark.parametrize("wish", WISHES, ids=lambda wish: wish.prompt)
def test_the_same_picture_as_diffusers(model: FluxModel, pipeline, wish: Wish) -> None:
    assert_same_picture(model, pipeline, wish, shift=1.0)


@pytest.mark.parametrize(
    "prompt", ["a red apple", "Ünïcode  🍎 it's 2026", "", "seven small grey mice in a very long row " * 3]
)
def test_the_same_tokens_and_states_as_transformers(model: FluxModel, pipeline, prompt: str) -> None:
    found = model.condition(PromptText(([(prompt, 1.0)],)), {})
    context, vector, _ = pipeline.encode_prompt(prompt, None, max_sequence_length=16)
    torch.testing.assert_close(found.context, context, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found.vector, vector, atol=1e-4, rtol=1e-4)


def test_pieces_of_a_prompt_are_the_tokens_of_the_whole(model: FluxModel) -> None:
    whole = model.condition(PromptText(([("a red apple", 1.0)],)), {})
    split = model.condition(PromptText(([("a ", 1.0), ("red", 1.0), (" apple", 1.0)],)), {})
    assert torch.equal(whole.context, split.context)


def test_the_file_says_how_its_latents_are_scaled_and_coloured(model: FluxModel) -> None:
    assert model.scaling.scale != 0.3611
    assert len(model.latent_format.rgb_factors) == model.latent_format.channels == 16
    assert model.info.missing_parts == ("clip_tokenizer", "t5_tokenizer")
