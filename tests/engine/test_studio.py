"""The engine in a whole studio: plugins found, a tiny Flux from a file, the embedded model."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sfumato import Studio
from sfumato.errors import BadInput, MissingPart, OutOfMemory
from sfumato.records import GenerationResult
from sfumato.settings import Settings
from sfumato_pictures import infotext

from ..tiny_models import TinyFlux, write_all_in_one, write_parts, write_tokenizers, write_transformer

EMBEDDED = "emoji"


@pytest.fixture(scope="module")
def tiny_flux(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    write_tokenizers(folder / "tokenizers")
    return write_all_in_one(TinyFlux(guidance=True), folder / "tiny.safetensors")


Generate = Callable[..., GenerationResult]


@pytest.fixture
def generate(tiny_flux: Path, tmp_path: Path) -> Generate:
    """Pictures from a studio as a user has it."""
    studio = Studio()
    small = {"model": str(tiny_flux), "width": 64, "height": 48, "steps": 3, "seed": 7}

    def draw(prompt: str = "a red apple", **fields: Any) -> GenerationResult:
        return studio.generate(prompt, output_folder=tmp_path / "out", **{**small, **fields})

    return draw


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image).astype(int)


def test_a_flux_file_gives_pictures_with_their_story(generate: Generate) -> None:
    (record,) = generate().images
    with Image.open(record.path) as image:
        assert image.size == (64, 48)
    fields = infotext.read(record.infotext).fields
    assert (fields["Model"], fields["Distilled CFG Scale"], fields["Sampler"]) == ("tiny", "3.5", "Euler")
    assert len(fields["Model hash"]) == 10


@pytest.mark.parametrize("cfg_scale", [1.0, 4.0])
def test_a_flux_picture_does_not_depend_on_its_batch(generate: Generate, cfg_scale: float) -> None:
    alone = pixels(generate(seed=8, cfg_scale=cfg_scale).images[0].path)
    among = generate(seed=6, cfg_scale=cfg_scale, batch_size=3).images[2]
    assert among.seed == 8
    assert np.abs(pixels(among.path) - alone).max() <= 1


def test_one_batch_and_two_passes_draw_the_same(tiny_flux: Path, tmp_path: Path) -> None:
    drawn = []
    for batching in ("batch", "two_passes"):
        studio = Studio(Settings.load(overrides={"engine.cfg_batching": batching}))
        fields: dict[str, Any] = {
            "model": str(tiny_flux),
            "width": 64,
            "height": 64,
            "steps": 3,
            "cfg_scale": 3.0,
        }
        result = studio.generate("a", seed=1, output_folder=tmp_path, **fields)
        drawn.append(pixels(result.images[0].path))
    assert np.abs(drawn[0] - drawn[1]).max() <= 1


def test_weights_in_the_prompt_change_the_picture(generate: Generate) -> None:
    prompts = ("a red apple", "a (red:1.6) apple")
    plain, weighted = (pixels(generate(prompt).images[0].path) for prompt in prompts)
    assert (plain != weighted).any()


def test_family_options_reach_the_model(generate: Generate) -> None:
    few, many = (generate(model_options={"guidance": value}).images[0] for value in (1.0, 9.0))
    assert (pixels(few.path) != pixels(many.path)).any()
    half = generate(model_options={"transformer_dtype": "bfloat16"}).images[0]
    assert (pixels(half.path) != pixels(generate().images[0].path)).any()


def test_sizes_off_the_grid_and_absurd_ones_are_refused(generate: Generate) -> None:
    with pytest.raises(BadInput, match="width 64 or 80"):
        generate(width=72)
    with pytest.raises((BadInput, OutOfMemory), match="would fit"):
        generate(width=16384, height=16384, batch_size=64)


def test_a_model_without_tokenizers_says_what_to_get(tmp_path: Path, generate: Generate) -> None:
    lonely = write_all_in_one(TinyFlux(), tmp_path / "lonely" / "tiny.safetensors")
    with pytest.raises(MissingPart, match="tokenizer"):
        generate(model=str(lonely))


@pytest.fixture
def in_parts(tmp_path: Path) -> Path:
    """A transformer with its parts beside it."""
    write_parts(TinyFlux(guidance=True), tmp_path)
    return write_transformer(TinyFlux(guidance=True), tmp_path / "body.safetensors")


def hash_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_parts_beside_the_checkpoint_leave_their_trace(generate: Generate, in_parts: Path) -> None:
    record = generate(model=str(in_parts)).images[0]
    fields = infotext.read(record.infotext).fields
    vae = in_parts.parent / "vae" / "ae.safetensors"
    assert (fields["VAE"], fields["VAE hash"]) == ("ae.safetensors", hash_of(vae)[:10])
    modules = tuple(fields[f"Module {number}"] for number in (1, 2, 3))
    assert modules == ("ae", "clip_l", "t5xxl_fp16")
    with Image.open(record.path) as image:
        parts = json.loads(image.info["sfumato"])["parts"]
    expected = {"file": "ae.safetensors", "sha256": hash_of(vae), "size": vae.stat().st_size}
    assert parts["autoencoder"] == [expected]
    assert [entry["sha256"] for entry in parts["transformer"]] == [hash_of(in_parts)]
    tokenizer = in_parts.parent / "tokenizers" / "t5xxl" / "tokenizer.json"
    assert hash_of(tokenizer) in [entry["sha256"] for entry in parts["t5_tokenizer"]]


def test_a_prompt_that_is_cut_is_told_each_time(tiny_flux: Path, tmp_path: Path) -> None:
    studio, small = Studio(), {"width": 64, "height": 48, "steps": 1, "output_folder": tmp_path}
    for _ in range(2):  # the second time it is encoded already
        result = studio.generate("a red apple " * 9, model=str(tiny_flux), **small)
        assert any("is too long" in warning for warning in result.warnings)


def test_a_record_finds_its_model_again(tiny_flux: Path, tmp_path: Path) -> None:
    studio = Studio(Settings.load(overrides={"general.default_model": str(tiny_flux)}))
    small: dict[str, Any] = {"width": 64, "height": 48, "steps": 2, "output_folder": tmp_path}
    record = studio.generate("a", **small).images[0]
    again = Studio().generate(record.request, output_folder=tmp_path).images[0]
    assert (pixels(again.path) == pixels(record.path)).all()
    varied = Studio().generate(record.request, sampler="euler_ancestral", output_folder=tmp_path).images[0]
    assert (pixels(varied.path) != pixels(record.path)).any()


def test_a_record_names_a_model_in_the_model_folders_without_its_path(
    tiny_flux: Path, tmp_path: Path
) -> None:
    (tmp_path / "checkpoints").mkdir()
    shutil.copy(tiny_flux, tmp_path / "checkpoints")
    write_tokenizers(tmp_path / "tokenizers")
    overrides = {"general.default_model": "tiny.safetensors", "general.model_folders": [str(tmp_path)]}
    studio = Studio(Settings.load(overrides=overrides))
    result = studio.generate("a", width=64, height=48, steps=1, output_folder=tmp_path / "out")
    assert result.images[0].request.model == "tiny"


def test_parts_in_the_checkpoint_are_no_modules(generate: Generate) -> None:
    fields = infotext.read(generate().images[0].infotext).fields
    assert not {"VAE", "VAE hash", "Module 1"} & fields.keys()


@pytest.mark.parametrize("part", ["vae/ae.safetensors", "text_encoders/clip_l.safetensors"])
def test_a_part_put_in_anothers_place_is_used(generate: Generate, in_parts: Path, part: str) -> None:
    before = pixels(generate(model=str(in_parts)).images[0].path)
    other = in_parts.parent / "other"
    write_parts(TinyFlux(guidance=True, seed=5), other)
    (other / part).replace(in_parts.parent / part)
    after = pixels(generate(model=str(in_parts)).images[0].path)
    assert (before != after).any()


def test_the_embedded_model_draws_a_red_apple(tmp_path: Path) -> None:
    """Not a judgement of quality: on a plain ground, something red stands in the middle."""
    result = Studio().generate("a red apple", model=EMBEDDED, seed=0, output_folder=tmp_path)
    picture = pixels(result.images[0].path)
    assert picture.shape == (64, 64, 3)
    red, green, blue = picture[16:48, 16:48].reshape(-1, 3).mean(axis=0)
    assert red > green + 20
    assert red > blue + 20


def test_an_embedded_picture_does_not_depend_on_its_batch(tmp_path: Path) -> None:
    studio = Studio()
    first, second = (
        studio.generate("a cat", model=EMBEDDED, seed=seed, batch_size=size, output_folder=tmp_path).images[
            -1
        ]
        for seed, size in ((5, 1), (3, 3))
    )
    assert first.seed == second.seed
    assert np.abs(pixels(first.path) - pixels(second.path)).max() <= 1


def test_doctor_sees_torch_the_device_and_the_processor() -> None:
    studio = Studio()
    results = studio.registries.checks.get("torch").load()(studio)
    assert [result.label for result in results] == ["torch", "Device", "CPU"]
    assert {result.state for result in results} == {"ok"}
    broken = Studio(Settings.load(overrides={"engine.device": "cuda:77"}))
    assert broken.registries.checks.get("torch").load()(broken)[1].state == "problem"


def test_a_device_that_nobody_makes_is_refused_as_a_setting() -> None:
    with pytest.raises(BadInput, match="'toaster'"):
        Studio(Settings.load(overrides={"engine.device": "toaster"}))
