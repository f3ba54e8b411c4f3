"""The same noise and prompt through diffusers' StableDiffusion3Pipeline give the same picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sfumato import Studio
from sfumato.models import Placement, PromptText
from sfumato_models_sd.sd3.family import Sd3Family
from sfumato_models_sd.sd3.model import Sd3Model

from ..tiny_models import library_of
from ..tiny_models.sd3 import SD3, SD35_LARGE, SD35_MEDIUM, TinySD3, write_sd3, write_sd3_tokenizers

pytest.importorskip("diffusers")

PROMPT, NEGATIVE = "The red tree, the blue one!", "the worst view"
"""Without an 'a': that is token 0 here, with which diffusers' second tokenizer fills up, and reads apart."""
LENGTH = 16
KINDS = {"3": SD3, "3.5 large": SD35_LARGE, "3.5 medium": SD35_MEDIUM}


def pipeline_of(tiny: TinySD3, folder: Path, **fields: Any) -> Any:
    from ..tiny_models.sd3_oracle import sd3_pipeline

    return sd3_pipeline(tiny, folder / "of_diffusers", **fields)


def load(path: Path, root: Path) -> Sd3Model:
    library, family = library_of(root), Sd3Family()
    info = family.detect(library.header(path))
    assert info is not None
    model = family.load(info, library, Placement(dtype="float32"))
    assert isinstance(model, Sd3Model)
    return model


def write(tiny: TinySD3, folder: Path, **fields: Any) -> Path:
    write_sd3_tokenizers(folder / "tokenizers")
    return write_sd3(tiny, folder / "tiny_sd3.safetensors", **fields)


def picture(path: Path, out: Path, **fields: Any) -> np.ndarray:
    """By a studio as a user has it, pixels 0..255."""
    small = {"width": 96, "height": 64, "steps": 4, "seed": 7, "cfg_scale": 3.0}
    result = Studio().generate(
        PROMPT,
        negative_prompt=NEGATIVE,
        model=str(path),
        model_options={"t5_length": LENGTH},
        output_folder=out,
        **{**small, **fields},
    )
    with Image.open(result.images[0].path) as image:
        return np.asarray(image).astype(int)


def picture_by_diffusers(pipeline: Any, **fields: Any) -> np.ndarray:
    """Of the same noise: normal numbers of a generator with the picture's seed."""
    noise = torch.randn(16, 8, 12, generator=torch.Generator().manual_seed(7))[None]
    small = {"width": 96, "height": 64, "num_inference_steps": 4, "guidance_scale": 3.0}
    images = pipeline(
        prompt=PROMPT,
        negative_prompt=NEGATIVE,
        latents=noise,
        max_sequence_length=LENGTH,
        output_type="np",
        **{**small, **fields},
    ).images
    return (images[0] * 255).round().astype(int)


def assert_same_picture(found: np.ndarray, expected: np.ndarray) -> None:
    """At most one step of 8 bits apart, and a picture with something in it."""
    assert expected.std() > 5
    assert np.abs(found - expected).max() <= 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_single_file_draws_as_the_pipeline_with_guidance(tmp_path: Path, kind: str) -> None:
    path = write(KINDS[kind], tmp_path)
    expected = picture_by_diffusers(pipeline_of(KINDS[kind], tmp_path))
    assert_same_picture(picture(path, tmp_path / "out"), expected)


def test_without_guidance_and_without_t5(tmp_path: Path) -> None:
    path = write(SD3, tmp_path, text_encoders=("clip_l", "clip_g"))
    pipeline = pipeline_of(SD3, tmp_path, with_t5=False)
    expected = picture_by_diffusers(pipeline, guidance_scale=1.0)
    assert_same_picture(picture(path, tmp_path / "out", cfg_scale=1.0), expected)


def test_a_folder_that_diffusers_wrote(tmp_path: Path) -> None:
    pipeline = pipeline_of(SD35_MEDIUM, tmp_path)
    pipeline.save_pretrained(tmp_path / "folder", max_shard_size="1MB")
    assert_same_picture(picture(tmp_path / "folder", tmp_path / "out"), picture_by_diffusers(pipeline))


def test_a_folder_has_the_weights_of_the_file(tmp_path: Path) -> None:
    pipeline_of(SD35_LARGE, tmp_path).save_pretrained(tmp_path / "folder")
    folder, file = load(tmp_path / "folder", tmp_path), load(write(SD35_LARGE, tmp_path), tmp_path)
    assert folder.info.missing_parts == ()
    assert folder.networks.keys() == file.networks.keys()
    for kind, network in file.networks.items():
        state = folder.networks[kind].state_dict()
        for name, tensor in network.state_dict().items():
            assert torch.equal(state[name], tensor), (kind, name)


@pytest.mark.parametrize("prompt", [PROMPT, "", "THE  red\ttree"])
@torch.no_grad()
def test_prompts_are_encoded_as_the_pipeline_does(tmp_path: Path, prompt: str) -> None:
    model = load(write(SD3, tmp_path), tmp_path)
    found = model.condition(PromptText(([(prompt, 1.0)],)), {"t5_length": LENGTH})
    context, _, vector, _ = pipeline_of(SD3, tmp_path).encode_prompt(
        prompt, None, None, do_classifier_free_guidance=False, max_sequence_length=LENGTH
    )
    torch.testing.assert_close(found.context, context, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found.vector, vector, atol=1e-5, rtol=1e-5)


def test_diffusers_converter_makes_of_our_file_what_its_pipeline_has(tmp_path: Path) -> None:
    """Its reader of single files knows the published sizes only; what it does with the tensors knows none."""
    from diffusers.loaders.single_file_utils import convert_sd3_transformer_checkpoint_to_diffusers

    stored = dict(library_of(tmp_path).open_tensors(write(SD35_MEDIUM, tmp_path)))
    prefix = "model.diffusion_model."
    converted = convert_sd3_transformer_checkpoint_to_diffusers(
        {name: tensor for name, tensor in stored.items() if name.startswith(prefix)}
    )
    expected = pipeline_of(SD35_MEDIUM, tmp_path).transformer.state_dict()
    assert converted.keys() == expected.keys()
    assert all(torch.equal(converted[name], tensor) for name, tensor in expected.items())
