"""Mapped tensors, shards and diffusers folders."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch

from sfumato.errors import CheckpointError
from sfumato_networks.checkpoint_folder import find_weights, read_diffusers_folder
from sfumato_networks.safetensors_file import DTYPES, MappedTensors

save_file = pytest.importorskip("safetensors.torch").save_file
load_file = pytest.importorskip("safetensors.torch").load_file


def some_tensors(seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        "weight": torch.randn(5, 3, generator=generator),
        "half": torch.randn(7, generator=generator).bfloat16(),
        "eighth": torch.randn(3, 3, generator=generator).to(torch.float8_e4m3fn),
        "scalar": torch.tensor(3.5),
        "empty": torch.empty(0, 4),
    }


def assert_same(found: torch.Tensor, expected: torch.Tensor) -> None:
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    assert torch.equal(found.flatten().view(torch.uint8), expected.flatten().view(torch.uint8))


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=str)
def test_tensors_of_every_type_equal_those_of_the_library(tmp_path: Path, dtype: torch.dtype) -> None:
    values = (
        torch.arange(24, dtype=torch.uint8).remainder(2)
        if dtype == torch.bool
        else torch.arange(24, dtype=torch.uint8)
    )
    path = tmp_path / "model.safetensors"
    save_file({"x": values.view(dtype)}, path)
    assert_same(MappedTensors(path)["x"], load_file(path)["x"])


def test_all_tensors_are_found_by_name(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file(some_tensors(), path)
    tensors = MappedTensors(path)
    assert set(tensors) == set(some_tensors())
    for name, expected in some_tensors().items():
        assert_same(tensors[name], expected)


def test_writing_to_a_tensor_leaves_the_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file(some_tensors(), path)
    before = path.read_bytes()
    tensor = MappedTensors(path)["weight"]
    tensor.zero_()
    assert (tensor == 0).all()
    assert path.read_bytes() == before


def test_tensors_share_the_pages_of_one_mapping(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file(some_tensors(), path)
    tensors = MappedTensors(path)
    first, second = tensors["weight"], tensors["weight"]  # both kept: a freed address could come again
    assert first.data_ptr() == second.data_ptr()


def test_tensors_at_odd_positions_are_read(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    header = b'{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}} '
    assert len(header) % 2
    path.write_bytes(len(header).to_bytes(8, "little") + header + torch.tensor([1.5, -2.0]).numpy().tobytes())
    assert MappedTensors(path)["x"].tolist() == [1.5, -2.0]


def write_shards(folder: Path, name: str = "model.safetensors.index.json") -> Path:
    tensors = some_tensors()
    names = sorted(tensors)
    files = {name: f"model-0000{1 + i // 3}-of-00002.safetensors" for i, name in enumerate(names)}
    for file in set(files.values()):
        save_file({name: tensors[name] for name in names if files[name] == file}, folder / file)
    index = folder / name
    index.write_text(json.dumps({"metadata": {}, "weight_map": files}))
    return index


def test_shards_under_an_index_read_as_one(tmp_path: Path) -> None:
    tensors = MappedTensors(write_shards(tmp_path))
    for name, expected in some_tensors().items():
        assert_same(tensors[name], expected)


@pytest.mark.parametrize(
    "name",
    [
        "model.safetensors.index.fp16.json",
        "model.fp16.safetensors.index.json",
        "MODEL.safetensors.index.json",
    ],
)
def test_a_part_in_shards_is_read_under_every_name_of_an_index(tmp_path: Path, name: str) -> None:
    (tmp_path / "model_index.json").write_text("{}")
    (tmp_path / "vae").mkdir()
    index = write_shards(tmp_path / "vae", name)
    assert find_weights(tmp_path / "vae") == index
    assert set(read_diffusers_folder(tmp_path).tensors) == {f"vae/{name}" for name in some_tensors()}
    assert set(MappedTensors(index)) == set(some_tensors())


def test_the_weights_without_a_variant_are_taken_whether_in_shards_or_not(tmp_path: Path) -> None:
    save_file(some_tensors(), tmp_path / "model.safetensors")
    write_shards(tmp_path, "model.safetensors.index.fp16.json")
    assert find_weights(tmp_path) == tmp_path / "model.safetensors"
    index = write_shards(tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "model.fp16.safetensors")
    assert find_weights(tmp_path) == index


def test_shards_without_their_index_name_what_to_download(tmp_path: Path) -> None:
    write_shards(tmp_path).unlink()
    with pytest.raises(CheckpointError, match=r"index.*Download .*model\.safetensors\.index\.json"):
        find_weights(tmp_path)


def test_a_single_shard_needs_no_index(tmp_path: Path) -> None:
    save_file(some_tensors(), tmp_path / "model-00001-of-00001.safetensors")
    assert find_weights(tmp_path) == tmp_path / "model-00001-of-00001.safetensors"


def test_a_shard_behind_a_broken_link_is_to_be_downloaded_again(tmp_path: Path) -> None:
    index = write_shards(tmp_path)
    shard = tmp_path / "model-00002-of-00002.safetensors"
    shard.unlink()
    shard.symlink_to(tmp_path / "blobs" / "gone")
    with pytest.raises(CheckpointError, match=r"model-00002-of-00002.*is missing.*Download the folder again"):
        MappedTensors(index)


@pytest.mark.parametrize(
    "file", ["../secret.safetensors", "/etc/passwd", "..\\secret.safetensors", "absent.safetensors"]
)
def test_an_index_cannot_name_files_elsewhere_or_missing(tmp_path: Path, file: str) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    save_file(some_tensors(), tmp_path / "secret.safetensors")
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"weight": file}}))
    with pytest.raises(CheckpointError, match=r"not a file beside it|is missing"):
        MappedTensors(index)


def test_an_index_that_misplaces_a_tensor_is_refused(tmp_path: Path) -> None:
    save_file({"other": torch.zeros(1)}, tmp_path / "shard.safetensors")
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"weight": "shard.safetensors"}}))
    with pytest.raises(CheckpointError, match="does not hold it"):
        MappedTensors(index)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"weight_map": []}', '{"weight_map": {"a": 1}}'])
def test_a_damaged_index_is_refused(tmp_path: Path, content: str) -> None:
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(content)
    with pytest.raises(CheckpointError):
        MappedTensors(index)


def test_a_diffusers_folder_reads_as_one_with_the_parts_before_the_names(tmp_path: Path) -> None:
    (tmp_path / "model_index.json").write_text('{"_class_name": "FluxPipeline"}')
    for part in ("transformer", "vae", "tokenizer"):
        (tmp_path / part).mkdir()
    write_shards(tmp_path / "transformer")
    (tmp_path / "vae" / "config.json").write_text('{"latent_channels": 16}')
    save_file({"x": torch.ones(2)}, tmp_path / "vae" / "diffusion_pytorch_model.safetensors")
    save_file({"x": torch.zeros(2)}, tmp_path / "vae" / "diffusion_pytorch_model.fp16.safetensors")
    header = read_diffusers_folder(tmp_path)
    assert header.layout == "diffusers_folder"
    assert header.configs["vae"] == {"latent_channels": 16}
    assert header.configs[""] == {"_class_name": "FluxPipeline"}
    tensors = MappedTensors(header)
    assert tensors["vae/x"].tolist() == [1, 1]
    assert_same(tensors["transformer/weight"], some_tensors()["weight"])


def test_a_folder_of_links_into_a_cache_is_read(tmp_path: Path) -> None:
    """As the downloads of huggingface_hub lie: names in one folder, contents without an ending in another."""
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshot"
    blobs.mkdir()
    (snapshot / "vae").mkdir(parents=True)
    save_file({"x": torch.ones(2)}, blobs / "1a")
    (blobs / "2b").write_text('{"_class_name": "FluxPipeline"}')
    (snapshot / "vae" / "diffusion_pytorch_model.safetensors").symlink_to(blobs / "1a")
    (snapshot / "model_index.json").symlink_to(blobs / "2b")
    assert MappedTensors(snapshot)["vae/x"].tolist() == [1, 1]


def test_a_folder_that_is_no_model_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"model_index\.json"):
        MappedTensors(tmp_path)


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="an administrator may read anything"
)
@pytest.mark.parametrize("closed", ["", "vae", "vae/model.safetensors"])
def test_an_unreadable_folder_or_file_is_a_clear_error(tmp_path: Path, closed: str) -> None:
    folder = tmp_path / "model"
    (folder / "vae").mkdir(parents=True)
    (folder / "model_index.json").write_text("{}")
    save_file({"x": torch.ones(2)}, folder / "vae" / "model.safetensors")
    (folder / closed).chmod(0)
    try:
        with pytest.raises(CheckpointError, match="cannot be read"):
            read_diffusers_folder(folder)
    finally:
        (folder / closed).chmod(0o700)
