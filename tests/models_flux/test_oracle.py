"""The same latents and prompt through diffusers' FluxPipeline give the same picture."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sfumato.models import ModelInfo, Placement
from sfumato_models_flux.family import FluxFamily
from sfumato_models_flux.model import FluxModel

from ..tiny_models import (
    TinyFlux,
    library_of,
    write_all_in_one,
    write_parts,
    write_tokenizers,
    write_transformer,
)
from .drawing import Wish, assert_same_picture

pytest.importorskip("diffusers")

DEV = TinyFlux(heads=2, double_blocks=2, single_blocks=1, guidance=True)
SMALL = TinyFlux(heads=3, vector_size=128, context_size=48, seed=1)
WIDE = TinyFlux(heads=2, head_size=64, latent_channels=4, seed=2)
FLOAT32 = Placement(dtype="float32")


def load(path: Path, root: Path) -> FluxModel:
    library = library_of(root)
    info: ModelInfo = library.detect(path)
    model = FluxFamily().load(info, library, FLOAT32)
    assert isinstance(model, FluxModel)
    return model


def pipeline_of(tiny: TinyFlux, folder: Path, shift: float | None = None):
    from ..tiny_models.oracle import flux_pipeline

    write_tokenizers(folder / "of_diffusers")
    return flux_pipeline(tiny, folder / "of_diffusers", shift=shift)


@pytest.mark.parametrize("tiny", [DEV, SMALL, WIDE], ids=["guidance", "small", "wide"])
def test_a_bare_transformer_with_parts_in_the_model_folders(tmp_path: Path, tiny: TinyFlux) -> None:
    write_parts(tiny, tmp_path)
    model = load(write_transformer(tiny, tmp_path / "diffusion_models" / "x.safetensors"), tmp_path)
    assert_same_picture(model, pipeline_of(tiny, tmp_path), Wish())


def test_a_checkpoint_as_comfyui_saves_it_with_true_cfg_and_a_static_shift(tmp_path: Path) -> None:
    write_tokenizers(tmp_path / "tokenizers")
    model = load(write_all_in_one(DEV, tmp_path / "all.safetensors"), tmp_path)
    assert_same_picture(model, pipeline_of(DEV, tmp_path, shift=3.0), Wish(cfg_scale=2.5), shift=3.0)


@pytest.mark.parametrize(
    ("tiny", "shift"), [(DEV, None), (SMALL, 1.0), (WIDE, 3.0)], ids=["guidance", "small", "wide"]
)
def test_a_folder_that_diffusers_wrote(tmp_path: Path, tiny: TinyFlux, shift: float | None) -> None:
    pipeline = pipeline_of(tiny, tmp_path, shift)
    pipeline.save_pretrained(tmp_path / "folder", max_shard_size="1MB")
    model = load(tmp_path / "folder", tmp_path)
    assert_same_picture(model, pipeline, Wish(cfg_scale=1.7))


def test_a_prompt_longer_than_the_encoders_take_is_cut_as_diffusers_cuts_it(tmp_path: Path) -> None:
    write_parts(SMALL, tmp_path)
    model = load(write_transformer(SMALL, tmp_path / "x.safetensors"), tmp_path)
    long = replace(Wish(), prompt="red the apple, a blue one. " * 9, steps=2)
    assert_same_picture(model, pipeline_of(SMALL, tmp_path), long)
