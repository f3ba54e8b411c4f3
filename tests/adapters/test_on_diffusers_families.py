"""LoRA on models that diffusers itself draws: the picture of its own pipeline with the same file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from sfumato import Studio
from sfumato.settings import Settings

pytest.importorskip("diffusers")

from ..models_diffusers.test_oracle import (
    CASES,
    HEIGHT,
    LENGTHS,
    NEGATIVE,
    PROMPT,
    SEED,
    STEPS,
    WIDTH,
    picture_by_diffusers,
)
from ..tiny_models import diffusers_families
from .adapter_files import lora_of

ATTENTION = ("to_q", "to_k", "to_v", "to_out.0", "add_q_proj", "to_qkv_mlp_proj")


def write_lora(transformer: nn.Module, path: Path) -> None:
    """In PEFT's names, for the attention of all blocks."""
    layers = {
        f"transformer.{name}": (layer.out_features, layer.in_features)
        for name, layer in transformer.named_modules()
        if isinstance(layer, nn.Linear) and name.endswith(ATTENTION)
    }
    path.parent.mkdir()
    tensors = lora_of(layers, alpha=None, names="peft")
    save_file({key: tensor * 0.3 for key, tensor in tensors.items()}, path)


def picture(studio: Studio, model: Path, prompt: str, out: Path, fields: dict[str, Any]) -> np.ndarray:
    result = studio.generate(
        prompt,
        model=str(model),
        negative_prompt=NEGATIVE,
        seed=SEED,
        noise_source="cpu",
        width=WIDTH,
        height=HEIGHT,
        steps=STEPS,
        output_folder=out,
        **fields,
    )
    with Image.open(result.images[0].path) as opened:
        return np.asarray(opened.convert("RGB")).astype(int)


@pytest.mark.parametrize("family", ["qwen_image", "z_image", "flux2_klein"])
def test_a_lora_draws_as_diffusers_does(family: str, tmp_path: Path) -> None:
    pipeline = getattr(diffusers_families, family)()
    channels, side, wanted, fields = CASES[family]
    if family in LENGTHS:
        wanted = {**wanted, "max_sequence_length": LENGTHS[family]}
        fields = {**fields, "model_options": {"text_length": LENGTHS[family]}}
    model = diffusers_families.write(pipeline, tmp_path / "checkpoints" / family)
    lora = tmp_path / "loras" / "style.safetensors"
    write_lora(pipeline.transformer, lora)
    settings = {"general.model_folders": f'["{tmp_path.as_posix()}"]', "engine.dtype": "float32"}
    studio = Studio(Settings.load(environ={}, file=tmp_path / "settings.toml", overrides=settings))

    plain = picture(studio, model, PROMPT, tmp_path / "out", fields)
    found = picture(studio, model, f"{PROMPT}<lora:style:1>", tmp_path / "out", fields)
    pipeline.load_lora_weights(str(lora))
    expected = picture_by_diffusers(pipeline, (1, channels, HEIGHT // side, WIDTH // side), wanted)
    assert np.abs(found - expected.astype(int)).max() <= 1
    assert np.abs(found - plain).max() > 10
    assert (picture(studio, model, PROMPT, tmp_path / "out", fields) == plain).all()
