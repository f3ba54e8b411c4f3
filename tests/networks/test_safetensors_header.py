"""Safetensors headers, good and bad; whatever is accepted is read as the safetensors library reads it."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sfumato.errors import CheckpointError
from sfumato_networks.safetensors_file import DTYPES, MappedTensors
from sfumato_networks.safetensors_header import ITEM_BYTES, MAX_HEADER_BYTES, read_header

safetensors = pytest.importorskip("safetensors")
save_file = pytest.importorskip("safetensors.torch").save_file

A = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
B = {"dtype": "F16", "shape": [1, 2], "data_offsets": [8, 12]}


def write(path: Path, header: object, data: bytes = bytes(12), length: int | None = None) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


def test_a_good_header_gives_names_types_shapes_positions_and_metadata(file: Path) -> None:
    header = read_header(write(file, {"__metadata__": {"format": "pt"}, "b": B, "a": A}))
    data_start = file.stat().st_size - 12
    assert header.metadata == {"format": "pt"}
    assert header.shapes == {"a": (2,), "b": (1, 2)}
    assert (header.tensors["b"].dtype, header.tensors["b"].start) == ("F16", data_start + 8)
    assert header.tensors["b"].end == file.stat().st_size


def test_scalars_and_empty_tensors_are_good(file: Path) -> None:
    header = {
        "scalar": {"dtype": "F32", "shape": [], "data_offsets": [0, 4]},
        "empty": {"dtype": "F32", "shape": [0, 3], "data_offsets": [4, 4]},
        "last": {"dtype": "I64", "shape": [1], "data_offsets": [4, 12]},
    }
    assert read_header(write(file, header)).shapes == {"scalar": (), "empty": (0, 3), "last": (1,)}


def test_metadata_of_null_is_none_at_all(file: Path) -> None:
    header = read_header(write(file, {"__metadata__": None, "a": A, "b": B}))
    assert (header.metadata, set(header.tensors)) == ({}, {"a", "b"})
    assert accepted_by_the_library(file) == header.shapes


@pytest.mark.parametrize("dtype", ["F4", "F6_E2M3", "F6_E3M2", "F33"])
def test_a_type_not_read_here_is_named_and_not_called_damage(file: Path, dtype: str) -> None:
    with pytest.raises(CheckpointError, match=f"'{dtype}', which is not read.*another type") as caught:
        read_header(write(file, {"a": {**A, "dtype": dtype}, "b": B}))
    assert "damaged" not in str(caught.value)


BAD_HEADERS = {
    "not JSON": (b'{"a": ', "not the JSON"),
    "not UTF-8": (b'{"\xff": 1}', "not the JSON"),
    "too deep": (b'{"a":' * 100_000, "not the JSON"),
    "an array": (b"[]", "does not begin with '{'"),
    "a name twice": (b'{"a": %s, "a": %s}' % ((json.dumps(A).encode(),) * 2), "occurs twice"),
    "a member twice": (
        b'{"a": {"dtype": "F32", "dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}',
        "occurs twice",
    ),
    "half a surrogate pair": (b'{"\\ud800": %s}' % json.dumps(A).encode(), "surrogates"),
    "metadata that is a list": ({"__metadata__": [], "a": A, "b": B}, "metadata"),
    "metadata of numbers": ({"__metadata__": {"a": 1}, "a": A, "b": B}, "metadata"),
    "a tensor that is a list": ({"a": []}, "not described"),
    "no shape": ({"a": {"dtype": "F32", "data_offsets": [0, 8]}}, "not described"),
    "three offsets": ({"a": {**A, "data_offsets": [0, 4, 8]}}, "not described"),
    "a shape of booleans": ({"a": {**A, "shape": [True, 2]}}, "not made of numbers"),
    "a fractional shape": ({"a": {**A, "shape": [2.0]}}, "no whole number"),
    "a negative shape": ({"a": {**A, "shape": [-2]}}, "no size"),
    "a huge number": (b'{"a": {"shape": [%s]}}' % (b"9" * 5000), "no size"),
    "an absurd shape": ({"a": {**A, "shape": [2**40, 2**40]}}, "absurd"),
    "an absurd empty shape": ({"a": {"dtype": "F32", "shape": [0, 2**62], "data_offsets": [0, 0]}}, "absurd"),
    "a type of another length": ({"a": {**A, "dtype": "F64"}, "b": B}, "takes 16 bytes, not 8"),
    "offsets turned round": ({"a": {**A, "data_offsets": [8, 0]}}, "not -8"),
    "an overlap": ({"a": A, "b": {**B, "data_offsets": [4, 8]}}, "overlaps"),
    "a hole": ({"a": A, "b": {**B, "data_offsets": [10, 14]}}, "hole of 2 bytes"),
    "a hole at the start": ({"a": {**A, "data_offsets": [4, 12]}}, "hole of 4 bytes"),
    "bytes left over": ({"a": A}, "4 bytes more"),
}


@pytest.mark.parametrize("case", BAD_HEADERS)
def test_a_bad_header_is_refused_with_its_reason(file: Path, case: str) -> None:
    header, reason = BAD_HEADERS[case]
    with pytest.raises(CheckpointError) as caught:
        read_header(write(file, header))
    assert reason in str(caught.value)
    assert str(file) in str(caught.value)


def test_a_truncated_file_tells_how_many_bytes_are_missing_and_to_download_it_again(file: Path) -> None:
    write(file, {"a": A, "b": B}, data=bytes(7))
    with pytest.raises(CheckpointError, match=r"the last 5 of .* missing\. Download the file again"):
        read_header(file)


@pytest.mark.parametrize("size", [0, 7])
def test_a_file_too_short_for_a_length_is_refused(file: Path, size: int) -> None:
    file.write_bytes(bytes(size))
    with pytest.raises(CheckpointError, match=f"It has {size} bytes"):
        read_header(file)


def test_a_header_larger_than_the_file_is_refused(file: Path) -> None:
    with pytest.raises(CheckpointError, match="but the file has only"):
        read_header(write(file, {"a": A}, length=10_000))


def test_a_header_over_the_limit_is_refused_before_it_is_read(file: Path) -> None:
    write(file, {"a": A}, length=MAX_HEADER_BYTES + 1)
    os.truncate(file, 2 * MAX_HEADER_BYTES)  # sparse: it takes no room on the disk
    with pytest.raises(CheckpointError, match="100,000,000 are the limit"):
        read_header(file)


class Bomb:
    """Would leave a file behind if it were unpickled."""

    def __reduce__(self) -> tuple[object, ...]:
        return open, ("exploded", "w")


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_checkpoint_is_refused_and_never_executed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zipped: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "model.safetensors"
    torch.save({"bomb": Bomb()}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match=r"pickle checkpoint.*safetensors"):
        MappedTensors(path)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"<!DOCTYPE html><html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        (b"GGUF\x03\x00\x00\x00\x00\x00", "GGUF file under another name.*ends in .gguf"),
    ],
)
def test_other_files_are_told_by_name(file: Path, content: bytes, what: str) -> None:
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match=what):
        read_header(file)


def test_a_missing_file_and_a_folder_are_clear_errors(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.safetensors", tmp_path):
        with pytest.raises(CheckpointError, match="cannot be read"):
            read_header(path)


def test_a_link_to_a_file_that_is_gone_is_to_be_downloaded_again(file: Path) -> None:
    file.symlink_to(file.with_name("gone"))
    with pytest.raises(CheckpointError, match=r"link to a file that is gone\. Download"):
        read_header(file)


def test_reading_a_header_imports_no_torch(file: Path) -> None:
    write(file, {"a": A, "b": B})
    program = (
        "import sys, pathlib; from sfumato_networks.safetensors_header import read_header;"
        f"read_header(pathlib.Path({str(file)!r})); sys.exit('torch' in sys.modules)"
    )
    assert (
        subprocess.run(
            [sys.executable, "-c", program], env=dict(os.environ, PYTHONPATH=":".join(sys.path))
        ).returncode
        == 0
    )


def test_every_type_has_its_size_in_torch() -> None:
    assert {name: dtype.itemsize for name, dtype in DTYPES.items()} == ITEM_BYTES


def accepted_by_the_library(path: Path) -> dict[str, tuple[int, ...]] | None:
    try:
        with safetensors.safe_open(path, framework="pt") as opened:
            return {name: tuple(opened.get_slice(name).get_shape()) for name in opened.keys()}  # noqa: SIM118
    except Exception:
        return None


GOOD = json.dumps({"__metadata__": {"format": "pt"}, "a": A, "b": B}, separators=(",", ":")).encode()
SNIPPETS = [
    b'"',
    b"{",
    b"}",
    b"-0",
    b"1e1",
    b"null",
    b"true",
    b"[",
    b" ",
    b"\\ud800",
    b"NaN",
    b"0",
    b"9" * 30,
    b'"F8_E4M3"',
]


@st.composite
def mutated_files(draw: st.DrawFn) -> bytes:
    text = bytearray(GOOD)
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(text) - 1))
        text[at : at + draw(st.integers(0, 3))] = draw(st.sampled_from(SNIPPETS) | st.binary(max_size=2))
        text += b"" if text else b"{"
    length = len(text) + draw(st.sampled_from([0, 0, 0, -1, 1, 2**63]))
    content = struct.pack("<Q", max(length, 0)) + bytes(text) + bytes(12)
    return content[: len(content) - draw(st.sampled_from([0, 0, 0, 1, 12, 60]))]


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=mutated_files())
def test_a_mutated_file_is_refused_or_read_as_the_library_reads_it(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    try:
        shapes = read_header(file).shapes
    except CheckpointError:
        return
    assert shapes == accepted_by_the_library(file)
    assert {name: tuple(tensor.shape) for name, tensor in MappedTensors(file).items()} == shapes
