"""The query `adapters`: what lists show of LoRAs and learned words, and what fits which model."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from sfumato.errors import UnknownName
from sfumato.settings import Settings
from sfumato.studio import Studio
from sfumato_adapters import listing
from sfumato_adapters.listing import AdapterItem, AdapterList

SD1 = {"lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k": (320, 768)}
SDXL = {"lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k": (640, 2048)}
FLUX = {"lora_unet_double_blocks_0_img_attn_qkv": (9216, 3072)}


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    return started(tmp_path)


def started(folder: Path) -> Studio:
    overrides = {
        "general.model_folders": str(folder / "models"),
        "general.data_folder": str(folder / "data"),
    }
    return Studio(Settings.load(file=folder / "settings.toml", environ={}, overrides=overrides))


def write_lora(
    folder: Path, name: str, layers: dict[str, tuple[int, int]], metadata: dict[str, str] | None = None
) -> Path:
    path = folder / "models" / "loras" / f"{name}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {}
    for stem, (outputs, inputs) in layers.items():
        tensors[f"{stem}.lora_down.weight"] = torch.zeros(4, inputs)
        tensors[f"{stem}.lora_up.weight"] = torch.zeros(outputs, 4)
    save_file(tensors, path, metadata=metadata)
    return path


def write_words(folder: Path, name: str, **tensors: torch.Tensor) -> Path:
    path = folder / "models" / "embeddings" / f"{name}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path)
    return path


def ask(studio: Studio, **fields: str) -> dict[str, AdapterItem]:
    answer = studio.ask("adapters", **fields)
    assert isinstance(answer, AdapterList)
    return {item.name: item for item in answer.items}


def test_a_lora_tells_its_family_words_alias_and_picture(studio: Studio, tmp_path: Path) -> None:
    metadata = {"ss_output_name": "wash-000004", "modelspec.trigger_phrase": "soft wash, watercolour"}
    path = write_lora(tmp_path, "wash", SD1, metadata)
    picture = path.with_name("wash.preview.png")
    picture.write_bytes(b"any")
    found = ask(studio)["wash"]
    assert (found.kind, found.family, found.alias) == ("lora", "SD 1.x", "wash-000004")
    assert found.trigger_words == ("soft wash", "watercolour")
    assert found.preview == picture
    assert found.size == path.stat().st_size
    assert found.ranks == (4,)
    assert found.matches is None  # no model was named


def test_a_lora_of_another_family_or_width_is_warned_of(studio: Studio, tmp_path: Path) -> None:
    write_lora(tmp_path, "painterly", SDXL)
    write_lora(tmp_path, "neon", FLUX)
    found = ask(studio, model="emoji", kind="lora")
    assert found["painterly"].matches is False
    assert "Made for SDXL" in found["painterly"].warning
    assert found["neon"].matches is False
    assert "3072" in found["neon"].warning
    assert "224" in found["neon"].warning


def test_the_lora_made_for_the_embedded_model_fits_it(studio: Studio) -> None:
    found = ask(studio, model="emoji")["all_blue"]
    assert found.matches is True
    assert found.warning == ""


def test_learned_words_are_told_apart_by_their_width(studio: Studio, tmp_path: Path) -> None:
    write_words(tmp_path, "one", emb_params=torch.zeros(2, 768))
    write_words(tmp_path, "two", clip_l=torch.zeros(1, 768), clip_g=torch.zeros(1, 1280))
    found = ask(studio, model="emoji", kind="embedding")
    assert (found["one"].family, found["two"].family) == ("SD 1.x", "SDXL")
    assert found["one"].matches is False  # the embedded model's text encoder is 128 wide


def test_a_damaged_file_and_one_that_is_no_lora_say_so(studio: Studio, tmp_path: Path) -> None:
    write_lora(tmp_path, "fine", SD1).with_name("broken.safetensors").write_bytes(b"nonsense")
    save_file({"model.weight": torch.zeros(2, 2)}, tmp_path / "models" / "loras" / "other.safetensors")
    found = ask(studio)
    assert found["broken"].problem
    assert found["other"].problem
    assert found["fine"].problem == ""


def test_two_files_of_one_name_are_named_by_their_folders(studio: Studio, tmp_path: Path) -> None:
    write_lora(tmp_path, "people/anna", SD1)
    write_lora(tmp_path, "old/anna", SD1)
    names = set(ask(studio, kind="lora"))
    assert {"people/anna", "old/anna"} <= names


def test_a_file_that_changed_is_read_anew_and_one_that_is_gone_is_left_out(
    studio: Studio, tmp_path: Path
) -> None:
    path = write_lora(tmp_path, "style", SD1)
    assert ask(studio)["style"].family == "SD 1.x"
    write_lora(tmp_path, "style", SDXL)
    os.utime(path, (1, 1))
    assert ask(studio)["style"].family == "SDXL"
    path.unlink()
    assert "style" not in ask(studio)


def test_what_cannot_be_read_in_time_is_listed_and_read_the_next_time(
    studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_lora(tmp_path, "style", SD1)
    monkeypatch.setattr(listing, "READING_SECONDS", 0.0)
    first = studio.ask("adapters", kind="lora")
    assert isinstance(first, AdapterList)
    assert first.pending == len(first.items) == 2
    monkeypatch.undo()
    assert ask(studio)["style"].read


def test_after_a_restart_only_files_that_changed_are_read(
    studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_lora(tmp_path, "same", SD1, {"modelspec.trigger_phrase": "soft wash"})
    changed = write_lora(tmp_path, "changed", SD1)
    before = ask(studio)
    write_lora(tmp_path, "changed", SDXL)
    os.utime(changed, (1, 1))
    monkeypatch.setattr(listing, "READING_SECONDS", 0.0)
    after = ask(started(tmp_path))
    assert after["same"] == before["same"]
    assert not after["changed"].read
    monkeypatch.undo()
    assert ask(started(tmp_path))["changed"].family == "SDXL"


@pytest.mark.parametrize("kept", [b"", b"[]", b'{"format": 1, "files": [[1]]}', b'{"format": 0}'])
def test_a_cache_that_cannot_be_used_is_made_anew(studio: Studio, tmp_path: Path, kept: bytes) -> None:
    write_lora(tmp_path, "style", SD1)
    cache = tmp_path / "data" / "cache" / "adapters.json"
    cache.parent.mkdir(parents=True)
    cache.write_bytes(kept)
    assert ask(studio)["style"].read
    assert "style" in cache.read_text("utf-8")


def test_what_went_wrong_is_tried_again_after_a_restart(studio: Studio, tmp_path: Path) -> None:
    path = tmp_path / "models" / "loras" / "broken.safetensors"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"nonsense")
    assert ask(studio)["broken"].problem
    assert "broken" not in (tmp_path / "data" / "cache" / "adapters.json").read_text("utf-8")


def test_an_unknown_model_is_told(studio: Studio) -> None:
    with pytest.raises(UnknownName, match="nothing"):
        studio.ask("adapters", model="nothing")


def test_asking_imports_no_tensor_library() -> None:
    program = (
        "import sys; from sfumato.studio import Studio; Studio().ask('adapters', model='emoji');"
        "assert not {'torch', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
