"""Models written as GGUF, read back by gguf and by the library; runs that were stopped go on."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType
from torch import Tensor

from sfumato.cli.app import main
from sfumato.errors import BadInput, Cancelled, CheckpointError, SfumatoError, UnknownName
from sfumato.events import CancelToken
from sfumato.library import ModelLibrary
from sfumato_quant_gguf.writing.presets import FUSED, block_of, role_of
from sfumato_quant_gguf.writing.quantising import Quantising, prepare
from sfumato_quant_gguf.writing.workers import workers
from sfumato_quant_gguf.writing.writer import TILE

from ..tiny_models import sd_folder
from ..tiny_models.files import save, write_all_in_one, write_tokenizers, write_transformer
from ..tiny_models.flux import TinyFlux
from ..tiny_models.library import library_of
from ..tiny_models.sd import SD15, write_sd15, write_sdxl
from ..tiny_models.sd3 import TinySD3, write_bare_sd3
from .models import assert_draws_like, library, loaded, registries_with_gguf

WIDE = TinyFlux(heads=8, head_size=32, single_blocks=1)  # rows of 256: whole blocks of K types


@pytest.fixture(scope="module")
def flux(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole tiny Flux with tokenizers beside it, in bf16."""
    root = tmp_path_factory.mktemp("flux")
    write_tokenizers(root / "tokenizers")
    return write_all_in_one(TinyFlux(), root / "checkpoints" / "flux.safetensors", torch.bfloat16)


def read(path: Path) -> tuple[gguf.GGUFReader, dict[str, Any]]:
    """What gguf's own reader finds."""
    reader = gguf.GGUFReader(path)
    return reader, {tensor.name: tensor for tensor in reader.tensors}


def numbers(tensor: Any) -> Tensor:
    shape = tuple(int(length) for length in reversed(tensor.shape))
    if tensor.tensor_type == GGMLQuantizationType.BF16:
        return torch.from_numpy(np.array(tensor.data)).view(torch.bfloat16).float().reshape(shape)
    return (
        torch.from_numpy(np.array(gguf.quants.dequantize(tensor.data, tensor.tensor_type)))
        .float()
        .reshape(shape)
    )


def written(model: Path, to: str, output: Path, **wishes: Any) -> Quantising:
    work = prepare(library(model.parent.parent), str(model), to, output=output, **wishes)
    work.write()
    return work


def test_a_diffusion_model_has_its_makers_names_without_prefix(flux: Path, tmp_path: Path) -> None:
    written(flux, "q8_0", tmp_path / "out.gguf")
    reader, tensors = read(tmp_path / "out.gguf")
    expected = TinyFlux().transformer()
    assert set(tensors) == set(expected)
    for name, tensor in expected.items():
        torch.testing.assert_close(numbers(tensors[name]), tensor, atol=0.05, rtol=0.02)
    assert reader.get_field("general.architecture").contents() == "flux"
    assert reader.get_field("general.file_type").contents() == gguf.LlamaFileType.MOSTLY_Q8_0
    assert reader.get_field("general.quantization_version").contents() == gguf.GGML_QUANT_VERSION


def test_blocks_in_the_file_are_those_of_gguf(flux: Path, tmp_path: Path) -> None:
    written(flux, "q5_0", tmp_path / "out.gguf")
    _, tensors = read(tmp_path / "out.gguf")
    name = "double_blocks.0.img_mlp.2.weight"
    source = TinyFlux().transformer()[name].to(torch.bfloat16).float().numpy()
    assert tensors[name].tensor_type == GGMLQuantizationType.Q5_0
    assert np.array_equal(tensors[name].data, gguf.quants.quantize(source, GGMLQuantizationType.Q5_0))


def test_what_lies_about_the_blocks_keeps_its_precision(flux: Path, tmp_path: Path) -> None:
    written(flux, "q4_0", tmp_path / "out.gguf")
    _, tensors = read(tmp_path / "out.gguf")
    types = {name: tensor.tensor_type.name for name, tensor in tensors.items()}
    assert {types[f"{name}.weight"] for name in ("img_in", "time_in.in_layer", "final_layer.linear")} == {
        "BF16"
    }
    assert {kind for name, kind in types.items() if name.endswith((".bias", ".scale"))} == {"F32"}
    assert types["double_blocks.0.img_attn.proj.weight"] == "Q4_0"


def test_a_mix_gives_more_bits_where_errors_show_most(tmp_path: Path) -> None:
    model = write_transformer(WIDE, tmp_path / "models" / "checkpoints" / "wide.safetensors")
    work = written(model, "q4_k_m", tmp_path / "out.gguf")
    types = {tensor.name: tensor.type_name for tensor in work.task.tensors}
    assert types["double_blocks.0.img_attn.qkv.weight"] == "Q5_K"
    assert types["double_blocks.0.img_mlp.2.weight"] == "Q6_K"
    assert types["double_blocks.0.img_mlp.0.weight"] == "Q4_K"
    _, tensors = read(tmp_path / "out.gguf")
    for name, source in WIDE.transformer().items():
        assert (numbers(tensors[name]) - source).norm() <= 0.1 * source.norm()


def test_rows_that_are_no_whole_blocks_take_smaller_blocks_and_are_told(flux: Path, tmp_path: Path) -> None:
    from sfumato_quant_gguf.writing.reporting import plan_summary

    work = written(flux, "q4_k_s", tmp_path / "out.gguf")
    fallen = {one["name"]: (one["instead_of"], one["type"]) for one in plan_summary(work)["fell_back"]}
    assert fallen["single_blocks.0.linear1.weight"] == ("Q4_K", "Q5_0")
    _, tensors = read(tmp_path / "out.gguf")
    assert tensors["single_blocks.0.linear1.weight"].tensor_type == GGMLQuantizationType.Q5_0


def test_the_first_rule_that_fits_counts(flux: Path, tmp_path: Path) -> None:
    rules = ["*.0.img_attn.proj.weight=q8_0", "*attn.proj*=bf16", "img_in.weight=q4_1"]
    work = written(flux, "q4_0", tmp_path / "out.gguf", rules=rules)
    types = {tensor.name: tensor.type_name for tensor in work.task.tensors}
    assert types["double_blocks.0.img_attn.proj.weight"] == "Q8_0"
    assert types["double_blocks.0.txt_attn.proj.weight"] == "BF16"
    assert types["img_in.weight"] == "Q4_1"


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("img_in", "PATTERN=TYPE"),
        ("nothing.*=q8_0", "No tensor fits"),
        ("img_in.*=q9", "q8_0"),
        ("img_in.*=iq2_xs", "importance"),
        ("*qkv.weight=q4_k", "no whole blocks"),
    ],
)
def test_a_wrong_rule_is_refused(flux: Path, tmp_path: Path, rule: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        prepare(library(flux.parent.parent), str(flux), "q4_0", rules=[rule], output=tmp_path / "out.gguf")


@pytest.mark.parametrize(
    ("wishes", "said"),
    [
        ({"to": "q4_k_x"}, "q4_k_m"),
        ({"to": "q8_0", "part": "t5"}, "t5_encoder"),
        ({"to": "iq2_xxs"}, "importance"),
    ],
)
def test_unknown_names_offer_the_nearest(flux: Path, wishes: dict[str, str], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        prepare(library(flux.parent.parent), str(flux), wishes.pop("to"), **wishes)  # type: ignore[arg-type]


def test_a_missing_model_is_told(flux: Path) -> None:
    with pytest.raises(UnknownName, match="flux"):
        prepare(library(flux.parent.parent), "flox", "q8_0")


def test_a_missing_part_is_told_with_those_that_are_there(tmp_path: Path) -> None:
    model = write_transformer(TinyFlux(), tmp_path / "checkpoints" / "bare.safetensors")
    with pytest.raises(BadInput, match="It holds: transformer"):
        prepare(library(tmp_path), str(model), "q8_0", part="t5_encoder")


def test_t5_has_llama_cpps_names_sizes_and_tokenizer(flux: Path, tmp_path: Path) -> None:
    from sfumato_networks.tokenizer import Tokenizer

    work = written(flux, "q8_0", tmp_path / "t5.gguf", part="t5_encoder")
    assert not work.notes
    reader, tensors = read(tmp_path / "t5.gguf")
    tiny = TinyFlux()
    names = gguf.TENSOR_NAMES[gguf.MODEL_TENSOR.ENC_ATTN_Q].format(bid=1)
    torch.testing.assert_close(
        numbers(tensors[f"{names}.weight"]),
        tiny.t5()["encoder.block.1.layer.0.SelfAttention.q.weight"],
        atol=0.03,
        rtol=0.02,
    )
    facts = {name: field.contents() for name, field in reader.fields.items()}
    assert facts["general.architecture"] == "t5encoder"
    assert facts["t5encoder.block_count"] == tiny.t5_config.layers
    assert facts["t5encoder.attention.key_length"] == tiny.t5_config.head_size
    assert facts["tokenizer.ggml.model"] == "t5"
    assert len(facts["tokenizer.ggml.tokens"]) == tiny.t5_config.vocab_size
    beside = Tokenizer.from_folder(flux.parent.parent / "tokenizers" / "t5xxl")
    carried = Tokenizer.read(library(tmp_path).header(tmp_path / "t5.gguf"))
    for text in ("the red apple", "The  apple, the blue one!", ""):
        assert carried.encode(text) == beside.encode(text)


def test_a_tokenizer_is_handed_on_when_a_gguf_is_written_again(flux: Path, tmp_path: Path) -> None:
    (tmp_path / "text_encoders").mkdir()
    written(flux, "q8_0", tmp_path / "text_encoders" / "t5.gguf", part="t5_encoder")
    again = written(tmp_path / "text_encoders" / "t5.gguf", "q4_0", tmp_path / "again.gguf")
    assert "already" in again.notes[0]
    first, _ = read(tmp_path / "text_encoders" / "t5.gguf")
    second, _ = read(tmp_path / "again.gguf")
    for key in ("tokenizer.ggml.tokens", "tokenizer.ggml.scores", "tokenizer.ggml.eos_token_id"):
        assert second.get_field(key).contents() == first.get_field(key).contents()


def test_a_whole_model_is_written_and_drawn_with(flux: Path, tmp_path: Path) -> None:
    written(flux, "f32", tmp_path / "whole.gguf", part="all")
    root = flux.parent.parent
    assert_draws_like(loaded(tmp_path / "whole.gguf", root), loaded(flux, root))


def test_a_diffusers_folder_is_written_under_the_original_names(tmp_path: Path) -> None:
    folder = sd_folder.write(SD15, tmp_path / "checkpoints" / "sd")
    written(folder, "f32", tmp_path / "out.gguf")
    _, tensors = read(tmp_path / "out.gguf")
    expected = SD15.unet()
    assert set(tensors) == set(expected)


def test_unets_are_cut_into_rows_of_256_as_comfyui_gguf_does(tmp_path: Path) -> None:
    model = write_sd15(tmp_path)
    work = written(model, "q4_k_s", tmp_path / "out.gguf")
    reader, tensors = read(tmp_path / "out.gguf")
    name = "input_blocks.1.0.in_layers.2.weight"
    source = SD15.unet()[name]
    assert reader.get_field(f"comfy.gguf.orig_shape.{name}").contents() == list(source.shape)
    assert list(tensors[name].shape) == [256, source.numel() // 256]
    assert tensors[name].tensor_type == GGMLQuantizationType.Q4_K
    found = numbers(tensors[name]).reshape(source.shape)
    assert (found - source).norm() <= 0.1 * source.norm()
    assert reader.get_field("general.architecture").contents() == "sd1"
    assert library(tmp_path).header(work.task.output).shapes[name] == tuple(source.shape)


def test_what_a_unet_predicts_is_kept(tmp_path: Path) -> None:
    model = write_sdxl(tmp_path, v=True)
    output = tmp_path / "checkpoints" / "out.gguf"
    written(model, "q8_0", output)
    found, source = library(tmp_path).detect(output), library(tmp_path).detect(model)
    assert (found.prediction, found.options) == (source.prediction, source.options)
    assert found.prediction == "v"


@pytest.mark.parametrize("part", ["clip_text", "autoencoder"])
def test_parts_of_other_kinds_are_found_in_the_file(flux: Path, tmp_path: Path, part: str) -> None:
    from sfumato_networks.parts import recognise

    written(flux, "q8_0", tmp_path / "out.gguf", part=part)
    (found,) = recognise(library(tmp_path).header(tmp_path / "out.gguf"))
    assert found.kind == part


def test_a_file_that_is_there_is_not_replaced_without_force(flux: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.gguf"
    output.write_bytes(b"precious")
    work = prepare(library(flux.parent.parent), str(flux), "q8_0", output=output)
    with pytest.raises(BadInput, match="--force"):
        work.write()
    assert output.read_bytes() == b"precious"
    work.write(force=True)
    assert output.read_bytes().startswith(b"GGUF")


def test_the_source_is_never_replaced(flux: Path, tmp_path: Path) -> None:
    written(flux, "q8_0", tmp_path / "out.gguf")
    work = prepare(library(tmp_path), str(tmp_path / "out.gguf"), "q4_0", output=tmp_path / "out.gguf")
    with pytest.raises(BadInput, match="come from"):
        work.write(force=True)


def test_too_little_room_is_told_before_anything_is_written(
    flux: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = prepare(library(flux.parent.parent), str(flux), "q8_0", output=tmp_path / "out.gguf")
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(SfumatoError, match="no room"):
        work.write()
    assert list(tmp_path.iterdir()) == []


def stopped_after(flux: Path, output: Path, tensors: int, to: str = "q8_0") -> None:
    """Begin to write, and be cancelled when so many tensors are done."""
    work = prepare(library(flux.parent.parent), str(flux), to, output=output)
    cancel, seen = CancelToken(), []

    def watch(done: int, name: str) -> None:
        if name not in seen:
            seen.append(name)
        if len(seen) > tensors:
            cancel.cancel()

    with pytest.raises(Cancelled):
        work.write(cancel=cancel, on_progress=watch)


def test_a_cancelled_run_goes_on_where_it_was(flux: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.gguf"
    stopped_after(flux, output, 9)
    assert not output.exists()
    written(flux, "q8_0", tmp_path / "whole.gguf")
    told: list[str] = []
    begun: list[str] = []
    work = prepare(library(flux.parent.parent), str(flux), "q8_0", output=output)
    work.write(tell=told.append, on_progress=lambda done, name: begun.append(name))
    assert "9 of" in told[0]
    assert work.task.tensors[8].name not in begun
    assert work.task.tensors[9].name in begun
    assert output.read_bytes() == (tmp_path / "whole.gguf").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.gguf", "whole.gguf"]


def test_an_unfinished_file_of_another_preset_is_begun_anew(flux: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.gguf"
    stopped_after(flux, output, 9, to="q4_0")
    told: list[str] = []
    prepare(library(flux.parent.parent), str(flux), "q8_0", output=output).write(tell=told.append)
    assert "begun anew" in told[0]
    written(flux, "q8_0", tmp_path / "whole.gguf")
    assert output.read_bytes() == (tmp_path / "whole.gguf").read_bytes()


def test_an_unfinished_file_of_a_source_that_changed_is_begun_anew(flux: Path, tmp_path: Path) -> None:
    source = tmp_path / "checkpoints" / "flux.safetensors"
    source.parent.mkdir()
    shutil.copy(flux, source)
    stopped_after(source, tmp_path / "out.gguf", 9)
    write_all_in_one(replace(TinyFlux(), seed=1), source, torch.bfloat16)
    written(source, "q8_0", tmp_path / "out.gguf")
    written(source, "q8_0", tmp_path / "whole.gguf")
    assert (tmp_path / "out.gguf").read_bytes() == (tmp_path / "whole.gguf").read_bytes()


@pytest.mark.parametrize("cut", [1, 5000])
def test_a_part_that_lost_its_end_is_written_again_from_there(flux: Path, tmp_path: Path, cut: int) -> None:
    output = tmp_path / "out.gguf"
    stopped_after(flux, output, 20)
    part = tmp_path / "out.gguf.part"
    with part.open("r+b") as file:
        file.truncate(part.stat().st_size - cut)
    written(flux, "q8_0", output)
    written(flux, "q8_0", tmp_path / "whole.gguf")
    assert output.read_bytes() == (tmp_path / "whole.gguf").read_bytes()


def test_a_part_that_was_spoilt_is_written_again_from_there(flux: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.gguf"
    stopped_after(flux, output, 20)
    part = tmp_path / "out.gguf.part"
    with part.open("r+b") as file:
        file.seek(part.stat().st_size - 3000)
        file.write(b"spoilt")
    begun: list[str] = []
    work = prepare(library(flux.parent.parent), str(flux), "q8_0", output=output)
    work.write(on_progress=lambda done, name: begun.append(name))
    assert work.task.tensors[19].name in begun
    assert work.task.tensors[2].name not in begun
    written(flux, "q8_0", tmp_path / "whole.gguf")
    assert output.read_bytes() == (tmp_path / "whole.gguf").read_bytes()


def test_what_is_not_read_back_as_written_gets_no_name(flux: Path, tmp_path: Path) -> None:
    work = prepare(library(flux.parent.parent), str(flux), "q8_0", output=tmp_path / "out.gguf")

    def spoil(done: int, name: str) -> None:
        if done == work.numbers:
            with work.task.part.open("r+b") as file:
                file.seek(-3000, os.SEEK_END)
                file.write(b"spoilt")

    with pytest.raises(CheckpointError, match="not as it was written"):
        work.write(on_progress=spoil)
    assert not work.task.output.exists()


_CHILD = """
import sys, time
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.quant_gguf.models import library
from sfumato_quant_gguf.writing.quantising import prepare
work = prepare(library(Path({shelf!r})), {model!r}, "q8_0", output=Path({output!r}))
def slowly(done, name):
    print(name, flush=True)
    time.sleep(0.02)
work.write(on_progress=slowly)
"""


def test_a_killed_run_goes_on_where_it_was(flux: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.gguf"
    root = str(Path(__file__).parents[2])
    code = _CHILD.format(root=root, shelf=str(flux.parent.parent), model=str(flux), output=str(output))
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        for _, _ in zip(range(25), child.stdout, strict=False):
            pass
        with pytest.raises(BadInput, match="another run"):
            written(flux, "q8_0", output)
        child.kill()
    told: list[str] = []
    prepare(library(flux.parent.parent), str(flux), "q8_0", output=output).write(tell=told.append)
    assert "Going on" in told[0]
    written(flux, "q8_0", tmp_path / "whole.gguf")
    assert output.read_bytes() == (tmp_path / "whole.gguf").read_bytes()


def test_weights_that_are_not_finite_are_named(tmp_path: Path) -> None:
    tensors = TinyFlux().transformer()
    tensors["double_blocks.0.img_mlp.0.weight"][3, 3] = torch.nan
    model = save(tmp_path / "checkpoints" / "broken.safetensors", tensors)
    with pytest.raises(CheckpointError, match=r"double_blocks\.0\.img_mlp\.0\.weight.*infinite"):
        written(model, "q8_0", tmp_path / "out.gguf")


def test_weights_beyond_the_range_of_their_type_are_told_with_the_rule_to_set(tmp_path: Path) -> None:
    tensors = TinyFlux().transformer()
    tensors["double_blocks.0.img_mlp.0.weight"][3, 3] = 1e6
    model = save(tmp_path / "checkpoints" / "large.safetensors", tensors)
    with pytest.raises(CheckpointError, match=r"--rule 'double_blocks\.0\.img_mlp\.0\.weight=bf16'"):
        written(model, "f16", tmp_path / "out.gguf")


def test_the_command_tells_the_plan_and_the_result(
    flux: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out.gguf"
    program = ["quantize", str(flux), "--to", "Q5_K_M", "-o", str(output), "--json"]
    assert main([*program, "--dry-run"]) == 0
    planned = json.loads(capsys.readouterr().out)
    assert not output.exists()
    assert main(program) == 0
    result = json.loads(capsys.readouterr().out)
    assert planned["bytes_after"] == result["bytes_after"] == output.stat().st_size
    assert len(result["tensors"]) == len(TinyFlux().transformer())
    assert result["relative_error"] < 0.05


def test_the_command_prints_tables(flux: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = ["quantize", str(flux), "--to", "q4_k_s", "-o", str(tmp_path / "out.gguf")]
    assert main([*program, "--dry-run"]) == 0
    assert "rows of 64 are no blocks of Q4_K" in capsys.readouterr().out
    assert main(program) == 0
    told = capsys.readouterr().out
    assert "read back, every tensor as it was written" in told
    assert main(program) == 2
    assert "--force" in capsys.readouterr().err


def model_folder(tmp_path: Path) -> Path:
    """A model folder whose only checkpoint is a whole Flux."""
    write_all_in_one(TinyFlux(), tmp_path / "models" / "checkpoints" / "flux.safetensors", torch.bfloat16)
    return tmp_path / "models"


@pytest.mark.parametrize(
    ("part", "place"),
    [
        ("diffusion_model", "checkpoints/flux-Q8_0.gguf"),
        ("all", "checkpoints/flux-Q8_0.gguf"),
        ("t5_encoder", "text_encoders/flux-t5_encoder-Q8_0.gguf"),
        ("autoencoder", "vae/flux-autoencoder-Q8_0.gguf"),
    ],
)
def test_parts_are_written_where_parts_are_looked_for(tmp_path: Path, part: str, place: str) -> None:
    models = model_folder(tmp_path)
    work = prepare(library(models), "flux", "q8_0", part=part)
    work.write()
    assert work.task.output == models / place
    assert work.task.output.is_file()


@pytest.fixture
def with_own(tmp_path: Path) -> ModelLibrary:
    """A model folder that is not there yet, and a plugin that brings the model "own"."""
    package = write_transformer(TinyFlux(), tmp_path / "package" / "own.safetensors")
    registries = registries_with_gguf()
    models = registries.models.registrar("model_own")
    models.add("own", package, label="Own")
    models.commit()
    return library_of(tmp_path / "models", registries=registries)


def test_a_model_of_a_plugin_is_written_to_the_model_folder_not_into_the_package(
    with_own: ModelLibrary, tmp_path: Path
) -> None:
    work = prepare(with_own, "own", "q8_0")
    work.write()
    assert work.task.output == tmp_path / "models" / "diffusion_models" / "own-Q8_0.gguf"
    assert work.task.output.is_file()
    assert [path.name for path in (tmp_path / "package").iterdir()] == ["own.safetensors"]


def test_a_model_outside_of_all_model_folders_is_written_beside_it(flux: Path, tmp_path: Path) -> None:
    work = prepare(library(tmp_path), str(flux), "q8_0", part="t5_encoder")
    assert work.task.output == flux.parent / "flux-t5_encoder-Q8_0.gguf"


def test_a_folder_as_output_is_where_the_file_goes(flux: Path, tmp_path: Path) -> None:
    assert written(flux, "q8_0", tmp_path).task.output == tmp_path / "flux-Q8_0.gguf"


@pytest.mark.parametrize("name", ["out", "out.safetensors"])
def test_an_output_that_nobody_would_take_for_gguf_is_refused(flux: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput, match=r"'\.gguf'"):
        written(flux, "q8_0", tmp_path / name)


def test_a_missing_folder_that_was_named_is_told_and_not_made(flux: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no folder"):
        written(flux, "q8_0", tmp_path / "typo" / "out.gguf")
    assert not (tmp_path / "typo").exists()


def test_rules_for_blocks_pass_over_biases_and_norms(flux: Path, tmp_path: Path) -> None:
    work = written(flux, "q4_0", tmp_path / "out.gguf", rules=["*=q8_0"])
    types = {tensor.name: tensor.type_name for tensor in work.task.tensors}
    assert types["img_in.weight"] == "Q8_0"
    assert types["img_in.bias"] == "F32"
    with pytest.raises(BadInput, match="No tensor fits"):
        written(flux, "q4_0", tmp_path / "other.gguf", rules=["*.bias=q8_0"])
    plain = written(flux, "q4_0", tmp_path / "other.gguf", rules=["*.bias=f16"])
    assert {t.type_name for t in plain.task.tensors if t.name.endswith(".bias")} == {"F16"}


def test_convolutions_in_bf16_become_f16_which_other_programs_compute_with(tmp_path: Path) -> None:
    model = write_bare_sd3(TinySD3(), tmp_path / "models" / "checkpoints" / "sd3.safetensors", torch.bfloat16)
    written(model, "q8_0", tmp_path / "out.gguf")
    _, tensors = read(tmp_path / "out.gguf")
    types = {name: tensor.tensor_type.name for name, tensor in tensors.items()}
    assert types["x_embedder.proj.weight"] == types["pos_embed"] == "F16"
    assert types["context_embedder.weight"] == "BF16"
    source = TinySD3().transformer()["x_embedder.proj.weight"].bfloat16().float()
    torch.testing.assert_close(numbers(tensors["x_embedder.proj.weight"]), source, atol=1e-7, rtol=0)


def test_blocks_of_sdxls_text_encoders_are_not_counted_by_their_place_in_the_model() -> None:
    name = "conditioner.embedders.1.transformer.text_model.encoder.layers.7.mlp.fc2.weight"
    assert block_of(name) == ("conditioner.embedders.1.transformer.text_model.encoder.layers", 7)
    assert role_of("conditioner.embedders.1.model.transformer.resblocks.7.attn.in_proj_weight") == FUSED


def test_what_is_left_behind_is_told(flux: Path, tmp_path: Path) -> None:
    root = library(flux.parent.parent)
    assert any("--part all" in note for note in prepare(root, str(flux), "q8_0").notes)
    assert prepare(root, str(flux), "q8_0", part="all").notes == ()
    bare = write_transformer(TinyFlux(), tmp_path / "checkpoints" / "bare.safetensors")
    assert prepare(library(tmp_path), str(bare), "q8_0").notes == ()


def test_a_preset_that_quantises_nothing_is_told(flux: Path) -> None:
    notes = prepare(library(flux.parent.parent), str(flux), "q8_0", part="autoencoder").notes
    assert any("Nothing" in note for note in notes)
    assert prepare(library(flux.parent.parent), str(flux), "f16", part="autoencoder").notes == ()


def test_no_name_is_not_the_default_model(with_own: ModelLibrary) -> None:
    with pytest.raises(BadInput, match="No model is named"):
        prepare(with_own, "", "q8_0")


@pytest.mark.skipif(sys.platform != "linux", reason="names are text elsewhere")
def test_a_file_name_that_is_no_unicode_is_no_obstacle(flux: Path, tmp_path: Path) -> None:
    model = tmp_path / os.fsdecode(b"\xff.safetensors")
    shutil.copy(flux, model)
    written(model, "q8_0", tmp_path / "out.gguf")
    reader, _ = read(tmp_path / "out.gguf")
    assert reader.get_field("general.name").contents() == "?"


@pytest.fixture
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("three_threads")
def test_threads_work_at_several_tiles_and_write_them_in_order(tmp_path: Path) -> None:
    """A matrix of four tiles; torch has as many threads afterwards as before."""
    tiny = TinyFlux(heads=24, head_size=32, double_blocks=0, single_blocks=1)
    model = write_transformer(tiny, tmp_path / "checkpoints" / "large.safetensors")
    written(model, "q8_0", tmp_path / "out.gguf")
    assert torch.get_num_threads() == 3
    name = "single_blocks.0.linear1.weight"
    source = tiny.transformer()[name]
    assert source.numel() > 3 * TILE
    _, tensors = read(tmp_path / "out.gguf")
    assert np.array_equal(tensors[name].data, gguf.quants.quantize(source.numpy(), GGMLQuantizationType.Q8_0))


def test_no_more_tiles_are_taken_than_are_worked_at_or_wait() -> None:
    taken: list[int] = []
    threads = torch.get_num_threads()

    def things() -> Iterator[int]:
        for thing in range(100):
            taken.append(thing)
            yield thing

    with workers() as several:
        results = several.in_order(lambda thing: 2 * thing, things())
        assert next(results) == 0
        assert len(taken) == 2 * threads
        assert list(results) == list(range(2, 200, 2))
