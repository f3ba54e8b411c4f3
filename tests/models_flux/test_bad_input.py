"""Bad checkpoints and missing parts on the way to a loaded model: clear errors, and what to do."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from sfumato.errors import CheckpointError, MissingPart
from sfumato.models import Placement
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
from ..tiny_models.files import save

TINY = TinyFlux()


def load(path: Path, root: Path) -> FluxModel:
    library = library_of(root)
    return FluxFamily().load(library.detect(path), library, Placement())


def test_missing_parts_are_named_with_where_to_get_and_put_them(tmp_path: Path) -> None:
    path = write_transformer(TINY, tmp_path / "diffusion_models" / "bare.safetensors")
    with pytest.raises(MissingPart) as caught:
        load(path, tmp_path)
    for part in ("autoencoder", "CLIP-L text encoder", "T5 text encoder", "T5 tokenizer"):
        assert part in caught.value.what
    for name in ("ae.safetensors", "clip_l.safetensors", "t5xxl_fp16.safetensors", "FLUX.1-schnell"):
        assert name in caught.value.hint
    for folder in ("vae", "text_encoders", "tokenizers/t5xxl"):
        assert str(tmp_path / folder) in caught.value.hint


def test_only_what_is_missing_is_named(tmp_path: Path) -> None:
    write_parts(TINY, tmp_path)
    (tmp_path / "vae" / "ae.safetensors").unlink()
    with pytest.raises(MissingPart) as caught:
        load(write_transformer(TINY, tmp_path / "bare.safetensors"), tmp_path)
    assert caught.value.what == "'bare' needs the autoencoder (VAE)."


def test_parts_of_another_width_are_mentioned(tmp_path: Path) -> None:
    write_parts(TinyFlux(context_size=64), tmp_path)
    with pytest.raises(MissingPart) as caught:
        load(write_transformer(TINY, tmp_path / "bare.safetensors"), tmp_path)
    assert "'t5xxl_fp16.safetensors' has a width of 64 instead of 32" in caught.value.why


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    path = write_transformer(TINY, tmp_path / "cut.safetensors")
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(CheckpointError, match="truncated"):
        library_of(tmp_path).detect(path)


def test_a_truncated_part_is_passed_over(tmp_path: Path) -> None:
    write_parts(TINY, tmp_path)
    ae = tmp_path / "vae" / "ae.safetensors"
    ae.with_name("other.safetensors").write_bytes(ae.read_bytes())
    ae.write_bytes(ae.read_bytes()[:-1000])
    assert load(write_transformer(TINY, tmp_path / "bare.safetensors"), tmp_path)


@pytest.mark.parametrize(
    "prefix", ["vae.", "text_encoders.clip_l.transformer.", "text_encoders.t5xxl.transformer."]
)
def test_a_part_with_a_missing_tensor_is_an_error_that_names_it(tmp_path: Path, prefix: str) -> None:
    path = write_all_in_one(TINY, tmp_path / "all.safetensors")
    write_tokenizers(tmp_path / "tokenizers")
    tensors = dict(library_of(tmp_path).open_tensors(path))
    name = [name for name in tensors if name.startswith(prefix) and "norm" in name][-1]
    rest = {other: tensor.clone() for other, tensor in tensors.items() if other != name}
    with pytest.raises(CheckpointError, match=name.removeprefix(prefix)):
        load(save(path, rest), tmp_path)


def test_surplus_tensors_are_warned_of_and_left_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_parts(TINY, tmp_path)
    tensors = TINY.transformer() | {"double_blocks.0.strange.weight": torch.zeros(3)}
    path = save(tmp_path / "surplus.safetensors", tensors)
    with caplog.at_level(logging.WARNING):
        load(path, tmp_path)
    assert "double_blocks.0.strange.weight" in caplog.text


def test_surplus_tensors_in_diffusers_layout_are_warned_of_too(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("diffusers")
    write_tokenizers(tmp_path / "tokenizers")
    from ..tiny_models.oracle import flux_pipeline

    folder = tmp_path / "folder"
    flux_pipeline(TINY, tmp_path / "tokenizers").save_pretrained(folder)
    file = folder / "transformer" / "diffusion_pytorch_model.safetensors"
    surplus = {"transformer_blocks.0.strange.weight": torch.zeros(3)}
    save(file, {**load_file(file), **surplus})
    with caplog.at_level(logging.WARNING):
        load(folder, tmp_path)
    assert "transformer_blocks.0.strange.weight" in caplog.text


def test_a_tokenizer_of_another_model_is_told_apart(tmp_path: Path) -> None:
    write_parts(TINY, tmp_path)
    file = tmp_path / "tokenizers" / "t5xxl" / "tokenizer.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    content["model"]["vocab"] += [[f"▁word{number}", -50.0] for number in range(50)]
    file.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(CheckpointError, match="belongs to another text encoder"):
        load(write_transformer(TINY, tmp_path / "bare.safetensors"), tmp_path)


def test_a_damaged_tokenizer_is_an_error(tmp_path: Path) -> None:
    write_parts(TINY, tmp_path)
    (tmp_path / "tokenizers" / "t5xxl" / "tokenizer.json").write_text("{", encoding="utf-8")
    with pytest.raises(CheckpointError, match="damaged"):
        load(write_transformer(TINY, tmp_path / "bare.safetensors"), tmp_path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("sfumato.latent_scale", "much"),
        ("sfumato.latent_scale", "0"),
        ("sfumato.latent_rgb", "[]"),
        ("sfumato.latent_rgb", '{"factors": [[1, 2, 3]], "bias": [0, 0, 0]}'),
        ("sfumato.clip_head_size", "7"),
        ("sfumato.clip_head_size", "x"),
        ("sfumato.clip_activation", "swish"),
    ],
)
def test_unusable_metadata_is_an_error(tmp_path: Path, key: str, value: str) -> None:
    write_tokenizers(tmp_path / "tokenizers")
    path = write_all_in_one(TINY, tmp_path / "all.safetensors", metadata={key: value})
    with pytest.raises(CheckpointError):
        load(path, tmp_path)
