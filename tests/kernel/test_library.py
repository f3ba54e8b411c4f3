"""Models are found by name or path and known by their header; a bad file is named, the others go on."""

from __future__ import annotations

import json
import os
import pickle
import struct
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from sfumato.errors import BadInput, CheckpointError, UnknownName
from sfumato.models import CheckpointHeader, ModelInfo
from sfumato.registries import Registries
from tests.tiny_models import TinyFlux, library_of, write_all_in_one, write_transformer


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A model folder with one good checkpoint."""
    (tmp_path / "checkpoints").mkdir()
    write_all_in_one(TinyFlux(), tmp_path / "checkpoints" / "tiny.safetensors")
    return tmp_path


def write_text(path: Path, text: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text)
    return path


@pytest.mark.parametrize("name", ["tiny", "tiny.safetensors"])
def test_a_model_is_found_by_file_name_with_or_without_ending(root: Path, name: str) -> None:
    assert library_of(root).find(name).path.name == "tiny.safetensors"


def test_a_model_outside_the_folders_is_found_by_path(root: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.safetensors"
    write_transformer(TinyFlux(guidance=True), elsewhere)
    assert library_of(root).find(str(elsewhere)).variant == "dev"


@pytest.mark.parametrize("folder", ["checkpoints", "Stable-diffusion", "diffusion_models", "unet"])
def test_folders_of_other_programs_are_searched_too(tmp_path: Path, folder: str) -> None:
    (tmp_path / folder / "deep").mkdir(parents=True)
    write_transformer(TinyFlux(), tmp_path / folder / "deep" / "mine.safetensors")
    assert [model.name for model in library_of(tmp_path).models()] == ["mine"]


def test_links_to_files_without_an_ending_are_models_under_their_own_names(tmp_path: Path) -> None:
    blob = tmp_path / "blobs" / "0a1b2c"
    write_transformer(TinyFlux(), blob)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "nice.safetensors").symlink_to(blob)
    library = library_of(tmp_path)
    assert [model.name for model in library.models()] == ["nice"]
    assert library.find("nice").path == tmp_path / "checkpoints" / "nice.safetensors"


def test_a_file_and_a_link_to_it_are_one_model_that_answers_to_both_names(root: Path) -> None:
    (root / "checkpoints" / "nice.safetensors").symlink_to(root / "checkpoints" / "tiny.safetensors")
    library = library_of(root)
    assert len(library.models()) == 1
    assert {library.find(name).path.stem for name in ("tiny", "nice")} == {"tiny", "nice"}


def test_linked_folders_are_entered_and_circles_of_links_end(root: Path, tmp_path: Path) -> None:
    shared = tmp_path / "elsewhere" / "shared"
    write_transformer(TinyFlux(), shared / "mine.safetensors")
    (shared / "back").symlink_to(root / "checkpoints")
    (root / "checkpoints" / "linked").symlink_to(shared)
    assert library_of(root).files("checkpoints") == [
        root / "checkpoints" / "linked" / "mine.safetensors",
        root / "checkpoints" / "tiny.safetensors",
    ]


def test_a_later_piece_of_a_split_file_is_told_of_only_without_the_first(tmp_path: Path) -> None:
    folder = tmp_path / "diffusion_models"
    first, second = (write_text(folder / f"big-0000{number}-of-00002.gguf", b"GGUF") for number in (1, 2))
    library = library_of(tmp_path)
    library.models()
    assert set(library.problems) == {first}
    first.unlink()
    library.models()
    assert set(library.problems) == {second}


def test_a_gguf_file_is_a_problem_with_a_way_forward(root: Path) -> None:
    gguf = write_text(root / "checkpoints" / "flux1-dev-Q4_K.gguf", b"GGUF")
    library = library_of(root)
    assert [model.name for model in library.models()] == ["tiny"]
    assert "GGUF" in library.problems[gguf].why
    assert "safetensors" in library.problems[gguf].hint


def test_an_unknown_name_offers_the_nearest_model(root: Path) -> None:
    with pytest.raises(UnknownName, match="Did you mean tiny"):
        library_of(root).find("tinny")


def test_a_damaged_file_is_a_problem_and_not_a_crash(root: Path) -> None:
    damaged = write_text(root / "checkpoints" / "bad.safetensors", struct.pack("<Q", 10**6) + b"{")
    library = library_of(root)
    assert [model.name for model in library.models()] == ["tiny"]
    assert list(library.problems) == [damaged]
    assert "bad.safetensors" in str(library.problems[damaged])


def test_a_pickle_is_refused_and_never_opened(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return exec, (f"open({str(tmp_path / 'exploded')!r}, 'w')",)

    checkpoint = write_text(tmp_path / "model.ckpt", pickle.dumps(Bomb()))
    disguised = write_text(tmp_path / "model.safetensors", pickle.dumps(Bomb()))
    for path in (checkpoint, disguised):
        with pytest.raises(CheckpointError, match=r"(?i)pickle"):
            library_of(tmp_path).find(str(path))
    assert not (tmp_path / "exploded").exists()


def test_weights_of_no_known_family_say_so(tmp_path: Path) -> None:
    header = json.dumps({"x": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}}).encode()
    path = write_text(tmp_path / "odd.safetensors", struct.pack("<Q", len(header)) + header + b"\0")
    with pytest.raises(CheckpointError, match="not a model that Sfumato knows"):
        library_of(tmp_path).find(str(path))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("notes.txt", "not a weights file"),
        ("folder", "has no model_index.json"),
        ("model.safetensors.index.json", "folder with model_index.json"),
        ("nothing", "no model named"),
    ],
)
def test_what_is_no_model_is_refused_by_name(tmp_path: Path, name: str, words: str) -> None:
    for file in ("notes.txt", "model.safetensors.index.json"):
        write_text(tmp_path / file, b"hello")
    (tmp_path / "folder").mkdir()
    with pytest.raises(BadInput, match=words):
        library_of(tmp_path).find(str(tmp_path / name))


def test_without_any_model_the_way_forward_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="--model PATH"):
        library_of(tmp_path).find(None)


@pytest.mark.parametrize("name", ["sub/tiny", "sub/tiny.safetensors", "checkpoints/sub/tiny"])
def test_of_models_with_one_name_the_folder_picks(root: Path, name: str) -> None:
    write_transformer(TinyFlux(), root / "checkpoints" / "sub" / "tiny.safetensors")
    library = library_of(root)
    assert library.find("tiny").path.parent == root / "checkpoints"
    assert library.find(name).path.parent == root / "checkpoints" / "sub"


def test_a_folder_in_the_working_directory_hides_no_model(
    root: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("work"))
    Path("tiny").mkdir()
    assert library_of(root).find("tiny").path.parent == root / "checkpoints"
    with pytest.raises(CheckpointError, match="is not a model"):
        library_of(root).find("./tiny")


@pytest.mark.parametrize("name", ["~nobody-of-that-name/x", "x" * 5000, "a\0b"])
def test_a_name_that_can_be_no_path_is_an_unknown_name(root: Path, name: str) -> None:
    with pytest.raises(UnknownName):
        library_of(root).find(name)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes in the file system")
def test_a_pipe_is_refused_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.safetensors")
    with pytest.raises(BadInput, match="neither a file nor a folder"):
        library_of(tmp_path).find(str(tmp_path / "pipe.safetensors"))


class BrokenFamily:
    def detect(self, header: CheckpointHeader) -> ModelInfo | None:
        raise KeyError("no such tensor")


@pytest.mark.parametrize("target", ["no_such_module:Family", BrokenFamily])
def test_a_broken_family_takes_no_model_away(root: Path, target: str | type) -> None:
    registries = Registries()
    broken = registries.model_families.registrar("aaa")
    broken.add("broken", target, label="Broken")
    broken.commit()
    library = library_of(root, registries=registries)
    assert library.find("tiny").family == "flux"
    assert [model.name for model in library.models()] == ["tiny"]


def test_a_registered_model_that_is_gone_is_passed_over(root: Path) -> None:
    registries = Registries()
    models = registries.models.registrar("bundled")
    models.add("aaa", str(root / "gone.safetensors"), label="Gone")
    models.add("bbb", str(root / "checkpoints" / "tiny.safetensors"), label="There")
    models.commit()
    assert library_of(root, registries=registries).find(None).name == "bbb"


def test_what_a_plugin_brings_for_its_model_is_found_after_the_users_own(tmp_path: Path) -> None:
    registries = Registries()
    brought = tmp_path / "plugin"
    for folder in (brought / "loras", tmp_path / "models" / "Lora"):
        folder.mkdir(parents=True)
        (folder / "blue.safetensors").touch()
    registrar = registries.models.registrar("brings")
    registrar.add("its_model", brought / "model.safetensors", label="Its model")
    registrar.commit()
    library = library_of(tmp_path / "models", registries=registries)
    assert library.folders("loras") == [tmp_path / "models" / "Lora", brought / "loras"]
    assert library.folders("vae") == []


def test_a_file_is_read_again_once_it_has_changed(tmp_path: Path) -> None:
    path = write_transformer(TinyFlux(), tmp_path / "tiny.safetensors")
    library = library_of(tmp_path)
    first = library.header(path)
    assert library.header(path) is first
    write_transformer(TinyFlux(double_blocks=3), path)
    assert len(library.header(path).tensors) > len(first.tensors)
    path.write_bytes(b"damaged")
    with pytest.raises(CheckpointError):
        library.header(path)


def test_opening_a_model_does_not_read_again_what_is_packed_in_it(tmp_path: Path) -> None:
    asked: list[frozenset[str]] = []

    class Doubling:
        """Weights named ``*.half``, stored at half their size."""

        def unpacked(self, header: CheckpointHeader) -> CheckpointHeader | None:
            asked.append(frozenset(header.tensors))
            if "a.half" not in header.tensors:
                return None
            return replace(header, tensors={"a": header.tensors["a.half"]})

        def open(self, header: CheckpointHeader, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
            assert set(header.tensors) == {"a.half"}
            return {"a": tensors["a.half"] * 2}

    registries = Registries()
    registrar = registries.quantisations.registrar("halves")
    registrar.add("half", Doubling, label="Half")
    registrar.commit()
    path = tmp_path / "a.safetensors"
    save_file({"a.half": torch.ones(3)}, path)
    library = library_of(tmp_path, registries=registries)
    for _ in range(3):
        assert set(library.header(path).tensors) == {"a"}
        assert library.open_tensors(path)["a"].tolist() == [2.0, 2.0, 2.0]
    assert asked == [{"a.half"}]
    save_file({"a": torch.ones(2)}, path)
    assert library.open_tensors(path)["a"].tolist() == [1.0, 1.0]
