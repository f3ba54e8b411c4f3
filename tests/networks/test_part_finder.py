"""Where parts are looked for, and which of several is taken."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sfumato.errors import CheckpointError
from sfumato.models import CheckpointHeader
from sfumato_networks.part_finder import CLIP_TOKENIZER, T5_TOKENIZER, PartFinder
from sfumato_networks.part_loading import load_autoencoder
from sfumato_networks.parts import AUTOENCODER, CLIP_TEXT, T5_ENCODER

from ..tiny_models import TinyFlux, library_of, write_all_in_one, write_tokenizers
from ..tiny_models.files import save

TINY = TinyFlux()


def finder(home: Path, *roots: Path) -> PartFinder:
    header = CheckpointHeader(home / "bare.safetensors", "single_file", "safetensors", {})
    return PartFinder(header, library_of(*roots))


def found_file(parts: PartFinder, kind: str = AUTOENCODER, width: int = 16) -> str | None:
    part = parts.find(kind, width)
    return part.header.path.name if part else None


def test_the_usual_name_is_taken_among_several(tmp_path: Path) -> None:
    for name in ("a_first", "ae", "zz"):
        save(tmp_path / "vae" / f"{name}.safetensors", TINY.autoencoder())
    assert found_file(finder(tmp_path / "models", tmp_path)) == "ae.safetensors"


@pytest.mark.parametrize("folder", ["vae", "checkpoints"])
def test_the_look_alike_of_stable_diffusion_3_is_passed_over_and_mentioned(
    tmp_path: Path, folder: str
) -> None:
    save(tmp_path / folder / "SD3_vae.safetensors", TINY.autoencoder())
    parts = finder(tmp_path / "checkpoints", tmp_path)
    assert found_file(parts) is None
    assert "'SD3_vae.safetensors' is named after Stable Diffusion 3" in parts.missing("x", [AUTOENCODER]).why


def test_a_checkpoint_named_after_stable_diffusion_3_keeps_its_own_autoencoder(tmp_path: Path) -> None:
    path = write_all_in_one(TINY, tmp_path / "not_sd3.safetensors")
    library = library_of(tmp_path)
    assert found_file(PartFinder(library.header(path), library)) == "not_sd3.safetensors"


def test_beside_the_checkpoint_the_usual_name_comes_before_the_model_folders_and_the_rest_after(
    tmp_path: Path,
) -> None:
    save(tmp_path / "home" / "my_own.safetensors", TINY.autoencoder())
    parts = finder(tmp_path / "home", tmp_path)
    assert found_file(parts) == "my_own.safetensors"
    save(tmp_path / "vae" / "shared.safetensors", TINY.autoencoder())
    assert found_file(parts) == "shared.safetensors"
    save(tmp_path / "home" / "flux_vae.safetensors", TINY.autoencoder())
    assert found_file(parts) == "flux_vae.safetensors"


def test_other_checkpoints_beside_it_are_not_read_when_the_part_is_in_its_folder(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save(tmp_path / "models" / "vae" / "ae.safetensors", TINY.autoencoder())
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "flux1-dev.safetensors").write_bytes(
        b"reading this is an error, which the log tells"
    )
    with caplog.at_level("INFO"):
        assert found_file(finder(tmp_path / "home", tmp_path / "models")) == "ae.safetensors"
    assert "passed over" not in caplog.text


def test_links_to_files_without_an_ending_are_parts(tmp_path: Path) -> None:
    save(tmp_path / "blobs" / "0a1b2c", TINY.autoencoder())
    (tmp_path / "vae").mkdir()
    (tmp_path / "vae" / "ae.safetensors").symlink_to(tmp_path / "blobs" / "0a1b2c")
    for home, root in (("elsewhere", tmp_path), ("", tmp_path / "none")):
        assert found_file(finder(tmp_path / home, root)) == "ae.safetensors"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("t5-v1_1-xxl-encoder-Q8_0.gguf", b"GGUF", "GGUF"),
        ("t5xxl_fp16.safetensors", b"GGUF\3\0\0\0\0\0", "GGUF"),
        ("t5xxl_fp16.safetensors", b"\x10\0\0\0\0\0\0\0{", "header claims"),
    ],
)
def test_what_is_named_like_the_part_but_cannot_be_read_is_mentioned(
    tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    (tmp_path / "text_encoders").mkdir()
    (tmp_path / "text_encoders" / name).write_bytes(content)
    parts = finder(tmp_path / "models", tmp_path)
    assert found_file(parts, T5_ENCODER, 64) is None
    why = parts.missing("x", [T5_ENCODER]).why
    assert name in why
    assert words in why


def test_parts_are_not_taken_out_of_other_models(tmp_path: Path) -> None:
    write_all_in_one(TINY, tmp_path / "other.safetensors")
    assert found_file(finder(tmp_path)) is None


@pytest.mark.parametrize("folder", ["text_encoders", "text_encoder", "clip"])
def test_folders_of_other_programs_are_searched(tmp_path: Path, folder: str) -> None:
    save(tmp_path / folder / "my_clip.safetensors", TINY.clip())
    assert found_file(finder(tmp_path / "models", tmp_path), CLIP_TEXT, 64) == "my_clip.safetensors"


def test_scaled_float8_is_passed_over_and_mentioned(tmp_path: Path) -> None:
    scaled = TINY.clip() | {"scaled_fp8": torch.zeros(2)}
    save(tmp_path / "text_encoders" / "clip_l.safetensors", scaled)
    parts = finder(tmp_path)
    assert found_file(parts, CLIP_TEXT, 64) is None
    assert "scaled float8" in parts.missing("x", [CLIP_TEXT]).why


def test_tokenizers_beside_come_before_the_model_folders(tmp_path: Path) -> None:
    write_tokenizers(tmp_path / "root" / "tokenizers")
    parts = finder(tmp_path / "home", tmp_path / "root")
    assert parts.find_tokenizer(T5_TOKENIZER) == tmp_path / "root" / "tokenizers" / "t5xxl"
    write_tokenizers(tmp_path / "home" / "tokenizers")
    assert parts.find_tokenizer(CLIP_TOKENIZER) == tmp_path / "home" / "tokenizers" / "clip_l"


@pytest.mark.parametrize("absent", ["merges.txt", "vocab.json"])
def test_half_a_tokenizer_does_not_end_the_search(tmp_path: Path, absent: str) -> None:
    for place in ("root", "home"):
        write_tokenizers(tmp_path / place / "tokenizers")
    (tmp_path / "home" / "tokenizers" / "clip_l" / absent).unlink()
    parts = finder(tmp_path / "home", tmp_path / "root")
    assert parts.find_tokenizer(CLIP_TOKENIZER) == tmp_path / "root" / "tokenizers" / "clip_l"


def test_without_model_folders_the_checkpoints_own_folder_is_named(tmp_path: Path) -> None:
    assert str(tmp_path / "vae") in finder(tmp_path).missing("x", [AUTOENCODER]).hint


def test_a_damaged_part_is_an_error_not_a_crash(tmp_path: Path) -> None:
    names = {
        "decoder.up.0.block.0.conv1.weight": torch.ones(3, 3, 3, 3),
        "decoder.conv_in.weight": torch.ones(3, 16),
    }
    names |= {
        "encoder.conv_in.weight": torch.ones(3, 3, 3, 3),
        "encoder.down.0.block.0.conv1.weight": torch.ones(3),
    }
    save(tmp_path / "vae" / "ae.safetensors", names | {"encoder.down.0.block.987654321.x": torch.ones(1)})
    part = finder(tmp_path).find(AUTOENCODER, 16)
    with pytest.raises(CheckpointError, match="tensors are missing"):
        load_autoencoder(part, library_of(tmp_path).open_tensors(part.header.path), torch.float32, "cpu")
