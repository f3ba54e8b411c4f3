"""Where parts are looked for, and which of several is taken."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sfumato.errors import CheckpointError
from sfumato.models import CheckpointHeader
from sfumato_networks.part_finder import CLIP_TOKENIZER, T5_TOKENIZER, PartFinder
from sfumato_networks.part_loading import load_autoencoder
from sfumato_networks.parts import AUTOENCODER, CLIP_TEXT

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


def test_the_look_alike_of_stable_diffusion_3_comes_last(tmp_path: Path) -> None:
    for name in ("sd3_vae", "zz"):
        save(tmp_path / "vae" / f"{name}.safetensors", TINY.autoencoder())
    assert found_file(finder(tmp_path / "models", tmp_path)) == "zz.safetensors"


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
