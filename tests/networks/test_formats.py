"""Weight formats as the kernel drives them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from sfumato.errors import CheckpointError
from sfumato.models import WeightFormat
from sfumato_networks.formats import DiffusersFolderFormat, SafetensorsFormat

from ..tiny_models import library_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model folder with one part in shards, one in a single file, and a scheduler."""
    contents = {
        "model_index.json": {"_class_name": "AnyPipeline"},
        "unet/config.json": {"layers": 2},
        "unet/diffusion_pytorch_model.safetensors.index.json": {
            "weight_map": {"a": "unet-1.safetensors", "b": "unet-2.safetensors"}
        },
        "vae/config.json": {"scaling_factor": 0.5},
        "scheduler/scheduler_config.json": {"shift": 3.0},
    }
    for name, content in contents.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(json.dumps(content))
    save_file({"a": torch.ones(2)}, tmp_path / "unet" / "unet-1.safetensors")
    save_file({"b": torch.full((3,), 2.0)}, tmp_path / "unet" / "unet-2.safetensors")
    save_file({"c": torch.full((1,), 3.0)}, tmp_path / "vae" / "diffusion_pytorch_model.safetensors")
    return tmp_path


def test_both_formats_fulfil_the_contract() -> None:
    assert isinstance(SafetensorsFormat(), WeightFormat)
    assert isinstance(DiffusersFolderFormat(), WeightFormat)


def test_a_folder_shows_the_tensors_of_all_parts(folder: Path) -> None:
    header = DiffusersFolderFormat().read_header(folder)
    assert header.layout == "diffusers_folder"
    assert header.shapes == {"unet/a": (2,), "unet/b": (3,), "vae/c": (1,)}
    assert header.tensors["unet/b"].file == folder / "unet" / "unet-2.safetensors"


def test_a_folder_shows_the_configs_of_all_parts_and_of_the_scheduler(folder: Path) -> None:
    configs = DiffusersFolderFormat().read_header(folder).configs
    assert configs["unet"] == {"layers": 2}
    assert configs["vae"] == {"scaling_factor": 0.5}
    assert configs["scheduler"] == {"shift": 3.0}


def test_a_folders_tensors_come_from_its_shards(folder: Path) -> None:
    tensors = DiffusersFolderFormat().open_tensors(folder)
    assert {name: tensor.tolist() for name, tensor in tensors.items()} == {
        "unet/a": [1.0, 1.0],
        "unet/b": [2.0, 2.0, 2.0],
        "vae/c": [3.0],
    }


def test_a_diffusion_model_that_is_there_as_pickle_alone_is_told(folder: Path) -> None:
    (folder / "safety_checker").mkdir()
    (folder / "safety_checker" / "pytorch_model.bin").write_bytes(b"of no use to anyone")
    DiffusersFolderFormat().read_header(folder)
    for file in (folder / "unet").iterdir():
        file.unlink()
    (folder / "unet" / "diffusion_pytorch_model.bin").write_bytes(b"never opened")
    with pytest.raises(CheckpointError, match=r"holds no \.safetensors") as error:
        DiffusersFolderFormat().read_header(folder)
    assert "diffusion_pytorch_model.bin" in (error.value.why or "")


def test_a_file_is_read_with_its_metadata(tmp_path: Path) -> None:
    save_file({"a": torch.ones(2)}, tmp_path / "x.safetensors", {"title": "x"})
    assert SafetensorsFormat().read_header(tmp_path / "x.safetensors").metadata["title"] == "x"
    assert SafetensorsFormat().open_tensors(tmp_path / "x.safetensors")["a"].tolist() == [1.0, 1.0]


def test_a_damaged_scheduler_is_an_error(folder: Path) -> None:
    (folder / "scheduler" / "scheduler_config.json").write_text("{")
    with pytest.raises(CheckpointError, match="scheduler_config"):
        DiffusersFolderFormat().read_header(folder)


def test_the_library_chooses_the_format_by_ending_and_marker(folder: Path) -> None:
    library = library_of(folder)
    assert library.header(folder).layout == "diffusers_folder"
    assert library.header(folder / "unet" / "unet-1.safetensors").layout == "single_file"
    with pytest.raises(CheckpointError, match="not a model"):
        library.header(folder / "unet")


def test_reading_headers_imports_no_tensor_library(folder: Path) -> None:
    code = (
        "import sys, pathlib; from sfumato_networks.formats import *;"
        "DiffusersFolderFormat().read_header(pathlib.Path(sys.argv[1]));"
        "print(*{'torch', 'numpy', 'safetensors'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", code, str(folder)]
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout.split() == []
