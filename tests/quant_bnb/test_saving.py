"""`sfumato pack`: what it writes is what other programs read, and nothing half done stays behind."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import bitsandbytes.functional as oracle
import pytest
import torch
from safetensors.torch import load_file

from sfumato.cli import main
from sfumato.errors import BadInput, CheckpointError, SfumatoError
from sfumato_networks.formats import SafetensorsFormat
from sfumato_networks.stored.tensor import WeightTensor
from sfumato_quant_bnb.file_forms import FileForm
from sfumato_quant_bnb.saving import packable, write_packed

from ..models_flux.drawing import picture
from ..tiny_models import TinyFlux, write_all_in_one, write_tokenizers
from ..tiny_models.files import save
from .packed_files import by_hand, library
from .test_stored_models import QKV, WISH, loaded

TINY = TinyFlux(context_size=64)
INSIDE = f"model.diffusion_model.{QKV}"
KINDS: dict[FileForm, str] = {
    "nf4": "NF4",
    "fp4": "FP4",
    "int8": "int8",
    "fp8_e4m3": "float8_e4m3fn",
    "fp8_e5m2": "float8_e5m2",
    "scaled_fp8": "float8_e4m3fn",
}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source")
    write_tokenizers(folder / "tokenizers")
    return write_all_in_one(TINY, folder / "all.safetensors", torch.bfloat16)


def packed(source: Path, form: FileForm, target: Path) -> Path:
    models = library(source.parent)
    write_packed(models.header(source), models.open_tensors(source), target, form)
    return target


@pytest.mark.parametrize("form", KINDS)
def test_a_model_is_saved_and_loaded_in_each_form(source: Path, form: FileForm, tmp_path: Path) -> None:
    path = packed(source, form, tmp_path / "packed.safetensors")
    model = loaded(path, source.parent)
    weight = model.transformer.get_submodule(QKV).weight
    assert isinstance(weight, WeightTensor)
    assert weight.stored.kind == KINDS[form]
    plain = picture(loaded(source, source.parent), WISH)
    found = picture(model, WISH)
    assert 1e-6 < (found - plain).square().mean() < 0.02
    assert path.stat().st_size < source.stat().st_size
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_nf4_files_are_read_by_bitsandbytes(source: Path, tmp_path: Path) -> None:
    stored = load_file(packed(source, "nf4", tmp_path / "nf4.safetensors"))
    beside = {name.removeprefix(f"{INSIDE}.weight."): stored[name] for name in stored if INSIDE in name}
    state = oracle.QuantState.from_dict(
        {name: tensor for name, tensor in beside.items() if "." not in name or "quant_state" in name},
        device=torch.device("cpu"),
    )
    plain = load_file(source)[f"{INSIDE}.weight"]
    numbers, expected = oracle.quantize_4bit(plain, quant_type="nf4")
    assert torch.equal(stored[f"{INSIDE}.weight"], numbers)
    assert state.shape == plain.shape
    assert state.dtype == torch.bfloat16
    assert torch.equal(
        by_hand(stored[f"{INSIDE}.weight"], state, plain.shape), by_hand(numbers, expected, plain.shape)
    )


def test_scaled_fp8_files_are_as_comfyui_has_them(source: Path, tmp_path: Path) -> None:
    stored = load_file(packed(source, "scaled_fp8", tmp_path / "fp8.safetensors"))
    plain = load_file(source)[f"{INSIDE}.weight"].float()
    assert stored["model.diffusion_model.scaled_fp8"].dtype == torch.float8_e4m3fn
    assert stored["text_encoders.t5xxl.transformer.scaled_fp8"].numel() == 2
    scale = stored[f"{INSIDE}.scale_weight"]
    assert scale.shape == ()
    assert torch.allclose(scale, plain.abs().max() / 448)
    found = stored[f"{INSIDE}.weight"].float() * scale
    torch.testing.assert_close(found, plain, rtol=1 / 16, atol=float(scale) / 256)


def test_small_layers_tables_and_other_parts_stay_as_they_are(source: Path, tmp_path: Path) -> None:
    stored, plain = load_file(packed(source, "int8", tmp_path / "x.safetensors")), load_file(source)
    kept = [name for name in plain if stored[name].dtype != torch.int8]
    assert all(torch.equal(stored[name], plain[name]) for name in kept)
    changed = set(plain) - set(kept)
    assert f"{INSIDE}.weight" in changed
    assert not any("vae." in name or "clip_l" in name or "shared" in name for name in changed)
    assert any("t5xxl" in name for name in changed)


def test_metadata_is_kept(tmp_path: Path) -> None:
    source = save(tmp_path / "x.safetensors", TINY.transformer(), metadata={"modelspec.title": "A \u00fc"})
    path = packed(source, "nf4", tmp_path / "y.safetensors")
    metadata = SafetensorsFormat().read_header(path).metadata
    assert metadata == {"modelspec.title": "A \u00fc", "sfumato.packed": "nf4"}


def test_what_is_quantised_already_is_not_packed_again(source: Path, tmp_path: Path) -> None:
    path = packed(source, "nf4", tmp_path / "nf4.safetensors")
    with pytest.raises(BadInput, match=r"stored as NF4.*bf16"):
        packed(path, "int8", tmp_path / "int8.safetensors")


def test_a_file_without_large_matrices_has_nothing_to_pack(tmp_path: Path) -> None:
    path = save(tmp_path / "vae.safetensors", TINY.autoencoder())
    with pytest.raises(BadInput, match="nothing to pack"):
        packed(path, "nf4", tmp_path / "x.safetensors")
    assert packable(SafetensorsFormat().read_header(path)) == frozenset()


def test_numbers_that_do_not_come_back_leave_no_file(tmp_path: Path) -> None:
    tensors = TINY.transformer()
    tensors[f"{QKV}.weight"][3, 5] = float("inf")
    path = save(tmp_path / "x.safetensors", tensors)
    with pytest.raises(CheckpointError, match="does not come back"):
        packed(path, "nf4", tmp_path / "y.safetensors")
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_what_a_killed_run_left_is_replaced(source: Path, tmp_path: Path) -> None:
    (tmp_path / "x.safetensors.part").write_bytes(b"half a model")
    path = packed(source, "nf4", tmp_path / "x.safetensors")
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("device", ["banana", "meta:99x", "cuda:77"])
def test_a_device_that_is_not_there_is_refused_in_words(source: Path, tmp_path: Path, device: str) -> None:
    models = library(source.parent)
    with pytest.raises(BadInput, match=f"on the device '{device}'"):
        write_packed(
            models.header(source), models.open_tensors(source), tmp_path / "x", "int8", device=device
        )
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_told(source: Path, tmp_path: Path) -> None:
    with pytest.raises(SfumatoError, match="cannot be written"):
        packed(source, "nf4", tmp_path / "missing" / "x.safetensors")


@pytest.fixture
def sfumato(
    source: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    monkeypatch.setenv("SFUMATO_GENERAL__MODEL_FOLDERS", json.dumps([str(source.parent)]))

    def run(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(words)
        return code, *capsys.readouterr()

    return run


def test_the_command_writes_a_file_and_replaces_none_unasked(
    sfumato: Callable[..., tuple[int, str, str]], source: Path, tmp_path: Path
) -> None:
    target = tmp_path / "small.safetensors"
    code, out, err = sfumato("pack", str(source), "--to", "nf4", "--output", str(target), "--json")
    assert code == 0, err
    told = json.loads(out)
    assert told["size_bytes"] == target.stat().st_size < told["source_bytes"]
    code, _, err = sfumato("pack", str(source), "--output", str(target))
    assert code == 2
    assert "is there already" in err
    assert sfumato("pack", str(source), "--output", str(target), "--force")[0] == 0


@pytest.mark.parametrize(
    ("output", "told"),
    [
        ("{source}", "its own file"),
        ("{folder}/x.gguf", "safetensors"),
        ("{folder}/no/x.safetensors", "no folder"),
    ],
)
def test_the_command_refuses_targets_that_cannot_be(
    sfumato: Callable[..., tuple[int, str, str]], source: Path, tmp_path: Path, output: str, told: str
) -> None:
    target = output.format(source=source, folder=tmp_path)
    code, _, err = sfumato("pack", str(source), "--output", target, "--force")
    assert code == 2
    assert told in err


def test_nothing_is_written_into_a_plugin_unasked(sfumato: Callable[..., tuple[int, str, str]]) -> None:
    code, _, err = sfumato("pack", "emoji")
    assert code == 2
    assert "comes with a plugin" in err
    assert "--output" in err
