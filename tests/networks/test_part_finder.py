"""Where parts are looked for, and which of several is taken."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sfumato.errors import BadInput, CheckpointError
from sfumato.models import CheckpointHeader
from sfumato_networks.part_finder import CLIP_TOKENIZER, T5_TOKENIZER, PartFinder
from sfumato_networks.part_loading import load_autoencoder
from sfumato_networks.parts import AUTOENCODER, CLIP_G_TEXT, CLIP_TEXT, OPEN_CLIP_TEXT, T5_ENCODER
from sfumato_networks.tokenizer import Tokenizer

from ..tiny_models import TinyFlux, library_of, write_all_in_one, write_tokenizers
from ..tiny_models.files import save
from ..tiny_models.tokenizers import write_clip_tokenizer, write_t5_tokenizer

TINY = TinyFlux()


def finder(home: Path, *roots: Path, **options: object) -> PartFinder:
    header = CheckpointHeader(home / "bare.safetensors", "single_file", "safetensors", {})
    return PartFinder(header, library_of(*roots), **options)


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


LOOK_ALIKES = [
    ("sd", "sdxl_vae", "Stable Diffusion XL"),
    ("sd", "fixFP16ErrorsSDXLLowerMemoryUse_v10", "Stable Diffusion XL"),
    ("sdxl", "vae-ft-mse-840000-ema-pruned", "Stable Diffusion 1"),
    ("sd3", "FLUX1_ae", "Flux"),
    ("sd3", "ae", "Flux"),
    ("flux", "stable_diffusion_3.5_vae", "Stable Diffusion 3"),
]


@pytest.mark.parametrize(("latents", "name", "other"), LOOK_ALIKES)
def test_an_autoencoder_named_after_other_latents_is_passed_over_and_mentioned(
    tmp_path: Path, latents: str, name: str, other: str
) -> None:
    save(tmp_path / "vae" / f"{name}.safetensors", TINY.autoencoder())
    parts = finder(tmp_path / "checkpoints", tmp_path, latents=latents)
    assert found_file(parts) is None
    assert f"'{name}.safetensors' is named after {other}" in parts.missing("x", [AUTOENCODER]).why


@pytest.mark.parametrize(
    ("latents", "name"),
    [
        ("sd", "vae-ft-mse-840000-ema-pruned"),
        ("sd", "kl-f8-anime2"),
        ("sdxl", "sdxl_vae"),
        ("sd3", "sd3_vae"),
        ("flux", "ae"),
    ],
)
def test_each_kind_of_latents_has_its_usual_autoencoder(tmp_path: Path, latents: str, name: str) -> None:
    for file in ("a_first", name, "zz"):
        save(tmp_path / "vae" / f"{file}.safetensors", TINY.autoencoder())
    assert found_file(finder(tmp_path / "home", tmp_path, latents=latents)) == f"{name}.safetensors"


def test_an_autoencoder_of_no_telling_name_is_taken_for_lack_of_a_better_one(tmp_path: Path) -> None:
    save(tmp_path / "vae" / "mine.safetensors", TINY.autoencoder())
    for latents in ("sd", "sdxl", "sd3", "flux", "of one model alone"):
        assert found_file(finder(tmp_path / "home", tmp_path, latents=latents)) == "mine.safetensors"


@pytest.mark.parametrize(
    ("latents", "words"),
    [
        ("sd", "vae-ft-mse-840000-ema-pruned.safetensors from stabilityai/sd-vae-ft-mse-original"),
        ("sdxl", "sdxl_vae.safetensors from stabilityai/sdxl-vae"),
        ("sd3", "(rename it to sd3_vae.safetensors) from stabilityai/stable-diffusion-3.5-large"),
    ],
)
def test_a_missing_autoencoder_is_named_by_its_latents(tmp_path: Path, latents: str, words: str) -> None:
    hint = finder(tmp_path, tmp_path, latents=latents).missing("x", [AUTOENCODER]).hint
    assert f"{words} -> {tmp_path / 'vae'}" in hint


@pytest.mark.parametrize(
    ("kind", "name"), [(CLIP_G_TEXT, "clip_g.safetensors"), (OPEN_CLIP_TEXT, "clip_h.safetensors")]
)
def test_missing_text_encoders_are_named(tmp_path: Path, kind: str, name: str) -> None:
    hint = finder(tmp_path, tmp_path).missing("x", [kind]).hint
    assert name in hint
    assert str(tmp_path / "text_encoders") in hint


def test_an_autoencoder_named_as_the_checkpoint_comes_before_the_checkpoints_own(tmp_path: Path) -> None:
    path = write_all_in_one(TINY, tmp_path / "dream.safetensors")
    library = library_of(tmp_path)
    save(tmp_path / "other.vae.safetensors", TINY.autoencoder())
    assert found_file(PartFinder(library.header(path), library)) == "dream.safetensors"
    save(tmp_path / "dream.vae.safetensors", TINY.autoencoder())
    assert found_file(PartFinder(library.header(path), library)) == "dream.vae.safetensors"


def test_a_wished_file_is_taken_whatever_the_checkpoint_holds_and_whatever_it_is_called(
    tmp_path: Path,
) -> None:
    path = write_all_in_one(TINY, tmp_path / "dream.safetensors")
    file = save(tmp_path / "sd3_vae.safetensors", TINY.autoencoder())
    library = library_of(tmp_path)
    parts = PartFinder(library.header(path), library, wished={AUTOENCODER: file})
    assert found_file(parts) == "sd3_vae.safetensors"
    assert found_file(parts, CLIP_TEXT, 64) == "dream.safetensors"


def test_a_part_may_be_wished_for_out_of_another_model(tmp_path: Path) -> None:
    file = write_all_in_one(TINY, tmp_path / "other.safetensors")
    assert found_file(finder(tmp_path, wished={CLIP_TEXT: file}), CLIP_TEXT, 64) == "other.safetensors"


@pytest.mark.parametrize(
    ("kind", "width", "why"),
    [
        (CLIP_TEXT, 64, "It holds the autoencoder (VAE), but not that."),
        (AUTOENCODER, 4, "It has a width of 16 instead of 4."),
    ],
)
def test_a_wished_file_that_does_not_fit_is_a_clear_error(
    tmp_path: Path, kind: str, width: int, why: str
) -> None:
    file = save(tmp_path / "ae.safetensors", TINY.autoencoder())
    with pytest.raises(BadInput, match=r"'ae\.safetensors' cannot be taken as the") as caught:
        finder(tmp_path, wished={kind: file}).find(kind, width)
    assert caught.value.why == why


def test_a_wished_file_without_any_part_is_a_clear_error(tmp_path: Path) -> None:
    file = save(tmp_path / "lora.safetensors", {"lora": torch.ones(1)})
    with pytest.raises(BadInput) as caught:
        finder(tmp_path, wished={CLIP_TEXT: file}).find(CLIP_TEXT, 64)
    assert caught.value.why == "It holds no part that is known."


def test_a_wished_file_that_cannot_be_read_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "clip_l.safetensors").write_bytes(b"no weights")
    with pytest.raises(CheckpointError, match="damaged"):
        finder(tmp_path, wished={CLIP_TEXT: tmp_path / "clip_l.safetensors"}).find(CLIP_TEXT, 64)


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


def test_clips_tokenizer_comes_along_and_serves_where_there_is_none(tmp_path: Path) -> None:
    parts = finder(tmp_path / "home", tmp_path / "root")
    folder = parts.find_tokenizer(CLIP_TOKENIZER)
    assert Tokenizer.from_folder(folder).vocabulary_size == 49408
    assert parts.find_tokenizer(T5_TOKENIZER) is None


@pytest.mark.parametrize("t5", ["tokenizer", "tokenizer_2", "tokenizer_3"])
def test_tokenizers_of_a_diffusers_folder_are_told_apart_by_what_they_are(tmp_path: Path, t5: str) -> None:
    model = tmp_path / "model"
    write_t5_tokenizer(model / t5)
    for name in ("tokenizer", "tokenizer_2"):
        if name != t5:
            write_clip_tokenizer(model / name)
    parts = PartFinder(CheckpointHeader(model, "diffusers_folder", "safetensors", {}), library_of(tmp_path))
    assert parts.find_tokenizer(T5_TOKENIZER) == model / t5
    first = "tokenizer_2" if t5 == "tokenizer" else "tokenizer"
    assert parts.find_tokenizer(CLIP_TOKENIZER) == model / first


def test_clips_tokenizer_is_known_in_the_form_that_transformers_5_writes(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    model, plain = tmp_path / "model", tmp_path / "plain"
    write_clip_tokenizer(plain)
    for name in ("tokenizer", "tokenizer_2"):
        transformers.CLIPTokenizer.from_pretrained(plain).save_pretrained(model / name)
        assert not (model / name / "merges.txt").exists()
    parts = PartFinder(CheckpointHeader(model, "diffusers_folder", "safetensors", {}), library_of(tmp_path))
    assert parts.find_tokenizer(CLIP_TOKENIZER) == model / "tokenizer"
    assert parts.find_tokenizer(T5_TOKENIZER) is None


def test_a_wished_tokenizer_is_taken_by_its_folder_or_a_file_in_it(tmp_path: Path) -> None:
    write_tokenizers(tmp_path)
    folder = tmp_path / "t5xxl"
    for wish in (folder, folder / "tokenizer.json"):
        assert finder(tmp_path, wished={T5_TOKENIZER: wish}).find_tokenizer(T5_TOKENIZER) == folder
    with pytest.raises(BadInput, match="cannot be taken as the T5 tokenizer"):
        finder(tmp_path, wished={T5_TOKENIZER: tmp_path}).find_tokenizer(T5_TOKENIZER)


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
