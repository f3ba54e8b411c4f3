"""Headers of GGUF files: what is read, and what is refused in words."""

from __future__ import annotations

import contextlib
import os
import pickle
import struct
import subprocess
import sys
import tracemalloc
from copy import deepcopy
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.errors import CheckpointError
from sfumato.models import WeightFormat
from sfumato.testing import WeightFormatContract
from sfumato_networks.safetensors_header import read_header as read_safetensors
from sfumato_networks.stored.tensor import WeightTensor
from sfumato_quant_gguf.byte_reader import MAX_VALUES
from sfumato_quant_gguf.format import GgufFormat
from sfumato_quant_gguf.header import MAX_DIMENSIONS, GgufHeader, parse_header
from sfumato_quant_gguf.metadata import ArrayField, read_array
from sfumato_quant_gguf.tensor_types import TYPES

from .files import add, write_gguf
from .fuzz_reader import entry, listed, tensor, text, whole_file

PATH = Path("some.gguf")


def read(data: bytes) -> GgufHeader:
    return parse_header(data, PATH)


def refusal(data: bytes) -> str:
    """All that is said on refusing a file."""
    with pytest.raises(CheckpointError) as caught:
        read(data)
    error = caught.value
    assert error.what
    assert error.why
    assert error.hint
    return f"{error.what} {error.why} {error.hint}"


class TestContract(WeightFormatContract):
    name = "gguf"

    def write_file(self, folder: Path) -> Path:
        tensors = {
            "a.weight": torch.ones(4, 64),
            "a.bias": torch.ones(4),
            "b": torch.ones(2, 1, 8),
        }  # no gap behind
        return write_gguf(folder / "tiny.gguf", tensors)


def test_all_types_of_the_gguf_package_are_known_with_its_sizes() -> None:
    known = {kind.value: (kind.name, *gguf.GGML_QUANT_SIZES[kind]) for kind in gguf.GGMLQuantizationType}
    assert {number: (kind.name, kind.block_size, kind.block_bytes) for number, kind in TYPES.items()} == known


def test_tensors_have_the_shapes_and_places_that_the_gguf_package_reads(tmp_path: Path) -> None:
    path = tmp_path / "many.gguf"
    writer = gguf.GGUFWriter(path, "flux")
    numbers = np.random.default_rng(0).standard_normal((3, 2, 64), dtype=np.float32)
    for kind in ("F32", "F16", "BF16", "Q8_0", "Q4_0", "Q5_1"):
        add(writer, kind, torch.from_numpy(numbers), kind)
    for dtype in (np.int8, np.int16, np.int32, np.int64, np.float64):
        writer.add_tensor(np.dtype(dtype).name, (numbers * 9).astype(dtype))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    header = GgufFormat().read_header(path)
    theirs = {one.name: one for one in gguf.GGUFReader(path).tensors}
    assert set(header.tensors) == set(theirs)
    for name, info in header.tensors.items():
        one = theirs[name]
        expected = (one.tensor_type.name, tuple(one.shape.tolist()[::-1]), one.data_offset, one.n_bytes)
        assert (info.dtype, info.shape, info.start, info.size_bytes) == expected


def test_plain_numbers_are_mapped_and_quantised_ones_stay_in_their_blocks(tmp_path: Path) -> None:
    numbers = {name: torch.randn(4, 64, generator=torch.Generator().manual_seed(1)) for name in ("a", "b")}
    path = write_gguf(tmp_path / "two.gguf", numbers)
    opened = GgufFormat().open_tensors(path)
    weight = opened["a"]
    assert isinstance(weight, WeightTensor)
    assert (weight.stored.kind, weight.dtype, weight.stored.nbytes) == ("Q8_0", torch.float32, 4 * 2 * 34)
    packed = bytes(weight.stored.tensors[0].numpy())
    assert packed == gguf.quants.quantize(numbers["a"].numpy(), gguf.GGMLQuantizationType.Q8_0).tobytes()
    plain = GgufFormat().open_tensors(write_gguf(path, numbers, quantised="F32"))
    assert torch.equal(plain["b"], numbers["b"])
    before = path.read_bytes()
    plain["b"].zero_()
    assert path.read_bytes() == before


def test_a_weight_of_a_file_may_be_copied_and_pickled(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "a.gguf", {"a": torch.randn(4, 64)})
    weight = GgufFormat().open_tensors(path)["a"]
    assert isinstance(weight, WeightTensor)
    for copied in (pickle.loads(pickle.dumps(weight)), WeightTensor(deepcopy(weight.stored), weight.dtype)):
        assert torch.equal(copied.plain(), weight.plain())


def test_nothing_is_read_until_it_is_used(tmp_path: Path) -> None:
    """A sparse file of a terabyte takes no longer than a small one, and no memory."""
    header = whole_file([], [tensor("a", (2**31, 128), 0, 0)], 0)
    path = tmp_path / "large.gguf"
    path.write_bytes(header)
    try:
        os.truncate(path, len(header) + 2**40)
    except OSError:
        pytest.skip("this file system has no sparse files of that size")
    opened = GgufFormat().open_tensors(path)["a"]
    assert opened.shape == (128, 2**31)
    assert float(opened[-1, -1]) == 0.0


@pytest.mark.parametrize("name", ["odd", "even"])
def test_a_tensor_is_read_wherever_it_begins(tmp_path: Path, name: str) -> None:
    counts = struct.pack("<4sIQQ", b"GGUF", 3, 1, 1)
    header = counts + entry("general.alignment", 4, struct.pack("<I", 1)) + tensor(name, (2,), 0, 0)
    path = tmp_path / "a.gguf"
    path.write_bytes(header + struct.pack("<2f", 1.5, -2.0))
    assert GgufFormat().open_tensors(path)[name].tolist() == [1.5, -2.0]


def test_metadata_of_all_kinds_is_read() -> None:
    values = {
        0: (200, "B"), 1: (-100, "b"), 2: (60_000, "H"), 3: (-30_000, "h"), 4: (4_000_000_000, "I"),
        5: (-2_000_000_000, "i"), 6: (0.5, "f"), 7: (True, "?"), 10: (2**64 - 1, "Q"), 11: (-(2**63), "q"),
        12: (0.1, "d"),
    }  # fmt: skip
    entries = [
        entry(str(kind), kind, struct.pack(f"<{code}", value)) for kind, (value, code) in values.items()
    ]
    header = read(whole_file([*entries, entry("text", 8, text("é"))], [], 0, version=2))
    assert header.version == 2
    assert header.metadata == {str(kind): value for kind, (value, _) in values.items()} | {"text": "é"}


def test_lists_stay_in_the_file_until_they_are_asked_for() -> None:
    nested = listed(9, [listed(8, [text("a")]), listed(9, [listed(4, [bytes(4)])])])
    entries = [
        entry("texts", 9, listed(8, [text("a"), text(""), text("bc")])),
        entry("numbers", 9, listed(5, [struct.pack("<i", n) for n in (-1, 2)])),
        entry("bytes", 9, listed(0, [b"\1", b"\2"])),
        entry("none", 9, listed(6, [])),
        entry("nested", 9, nested),
        entry("last", 8, text("here")),
    ]
    data = whole_file(entries, [], 0)
    header = read(data)
    lists = {key: value for key, value in header.metadata.items() if isinstance(value, ArrayField)}
    assert header.metadata["last"] == "here"
    assert [field.count for field in lists.values()] == [3, 2, 2, 0, 2]
    assert read_array(data, PATH, lists["texts"]) == ["a", "", "bc"]
    assert read_array(data, PATH, lists["numbers"]) == [-1, 2]
    assert read_array(data, PATH, lists["bytes"]) == b"\1\2"
    assert read_array(data, PATH, lists["none"]) == []
    with pytest.raises(CheckpointError, match="lists in a list"):
        read_array(data, PATH, lists["nested"])


def test_metadata_is_told_as_text_without_lists_and_endless_texts(tmp_path: Path) -> None:
    def finish(writer: gguf.GGUFWriter) -> None:
        writer.add_string("general.name", "Tiny")
        writer.add_bool("general.nice", True)
        writer.add_string("tokenizer.chat_template", "x" * 100_000)
        writer.add_array("list", [1, 2])

    header = GgufFormat().read_header(write_gguf(tmp_path / "a.gguf", {}, finish=finish))
    assert header.metadata == {"general.architecture": "flux", "general.name": "Tiny", "general.nice": "True"}


def counted(tensors: int = 0, entries: int = 0, rest: bytes = b"") -> bytes:
    """A header that claims so many."""
    return struct.pack("<4sIQQ", b"GGUF", 3, tensors, entries) + rest


SOUND = whole_file([], [tensor("a", (32,), 8, 0)], 64)
LIST = text("k") + struct.pack("<I", 9)
REFUSED = {
    "empty": (b"", "is not a GGUF file"),
    "another file": (b"\x89PNG" * 9, "begins with"),
    "a web page": (b"<!doctype html>", "web page"),
    "a pointer": (b"version https://git-lfs", "git lfs pull"),
    "only a magic": (b"GGUF", "beyond the file's end"),
    "version 1": (struct.pack("<4sI", b"GGUF", 1) + bytes(16), "version 1"),
    "version 4": (struct.pack("<4sI", b"GGUF", 4) + bytes(16), "version 4"),
    "big endian": (struct.pack(">4sI", b"GGUF", 3) + bytes(16), "big-endian"),
    "too many tensors": (counted(tensors=2**63), "claims 9,223,372,036,854,775,808 tensors"),
    "more tensors than bytes": (counted(tensors=9, rest=bytes(90)), "too short"),
    "too many entries": (counted(entries=2**32), "metadata entries"),
    "more entries than bytes": (counted(entries=9, rest=bytes(90)), "too short"),
    "a long key": (counted(entries=1, rest=struct.pack("<Q", 2**40) + bytes(90)), "claims 1,099,511,627,776"),
    "a key of no text": (counted(entries=1, rest=struct.pack("<Q", 2) + b"\xff\xfe" + bytes(9)), "not UTF-8"),
    "a key twice": (whole_file([entry("k", 7, b"\1")] * 2, [], 0), "'k' twice"),
    "a value of no kind": (
        counted(entries=1, rest=text("k") + struct.pack("<I", 13) + bytes(9)),
        "number 13",
    ),
    "a list of no kind": (counted(entries=1, rest=LIST + struct.pack("<IQ", 99, 1) + bytes(9)), "number 99"),
    "a list too long": (counted(entries=1, rest=LIST + struct.pack("<IQ", 8, 2**60)), "too short"),
    "a list of cut texts": (
        counted(entries=1, rest=LIST + struct.pack("<IQ", 8, 2) + text("a" * 5) + bytes(7)),
        "beyond the file's end",
    ),
    "a list of one endless text": (
        counted(entries=1, rest=LIST + struct.pack("<IQQ", 8, 1, 2**64 - 1)),
        "beyond the file's end",
    ),
    "lists too deep": (
        whole_file([entry("k", 9, listed(9, [listed(9, [listed(9, [listed(9, [listed(9, [])])])])]))], [], 0),
        "nested more than",
    ),
    "a tensor twice": (whole_file([], [tensor("a", (1,), 0, 0), tensor("a", (1,), 0, 32)], 64), "'a' twice"),
    "a type that is not known": (whole_file([], [tensor("a", (1,), 4, 0)], 64), "type number 4,"),
    "too many dimensions": (
        whole_file([], [tensor("a", (1,) * (MAX_DIMENSIONS + 1), 0, 0)], 64),
        f"{MAX_DIMENSIONS + 1} dimensions",
    ),
    "an absurd shape": (whole_file([], [tensor("a", (2**40, 2**40), 0, 0)], 64), "absurd shape"),
    "an absurd shape of nothing": (
        whole_file([], [tensor("a", (2**63, 2**63, 0), 0, 0)], 64),
        "absurd shape",
    ),
    "part of a block": (whole_file([], [tensor("a", (48,), 8, 0)], 64), "no whole blocks of Q8_0"),
    "an overlap": (
        whole_file([], [tensor("a", (32,), 8, 0), tensor("b", (32,), 8, 32)], 96),
        "'b' overlaps 'a' by 2 bytes",
    ),
    "beyond the end": (whole_file([], [tensor("a", (32,), 8, 2**63)], 64), "truncated"),
    "cut off": (SOUND[:-40], "truncated: the last 10 of"),
    "an odd alignment": (
        whole_file([entry("general.alignment", 4, struct.pack("<I", 48))], [], 0),
        "alignment",
    ),
    "no alignment": (whole_file([entry("general.alignment", 4, bytes(4))], [], 0), "alignment"),
    "an alignment of text": (whole_file([entry("general.alignment", 8, text("32"))], [], 0), "alignment"),
    "an alignment of lists": (whole_file([entry("general.alignment", 9, listed(4, []))], [], 0), "a list"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_wrong_is_refused_in_words(case: str) -> None:
    data, words = REFUSED[case]
    assert words in refusal(data)


def test_a_file_of_more_texts_than_anybody_has_is_refused_before_they_are_walked_over() -> None:
    data = counted(entries=1, rest=LIST + struct.pack("<IQ", 8, MAX_VALUES + 1)) + bytes(8 * (MAX_VALUES + 1))
    assert "texts and lists" in refusal(data)


def test_the_hole_in_front_of_a_tensor_and_bytes_behind_the_last_are_nobodys() -> None:
    data = whole_file([], [tensor("a", (32,), 8, 64)], 256)
    assert read(data).tensors["a"].start % 32 == 0


SHAPES = {
    "too few": [4, 4],
    "negative": [-4, -8],
    "endless": [1] * 9,
}


@pytest.mark.parametrize("case", SHAPES)
def test_an_original_shape_that_cannot_be_one_is_refused(tmp_path: Path, case: str) -> None:
    def finish(writer: gguf.GGUFWriter) -> None:
        writer.add_array("comfy.gguf.orig_shape.a", SHAPES[case])

    path = write_gguf(tmp_path / "a.gguf", {"a": torch.ones(1, 32)}, finish=finish)
    with pytest.raises(CheckpointError, match="shape"):
        GgufFormat().read_header(path)


def test_an_original_shape_of_any_whole_numbers_is_taken(tmp_path: Path) -> None:
    for number in (gguf.GGUFValueType.INT64, gguf.GGUFValueType.UINT8):

        def finish(writer: gguf.GGUFWriter, number: gguf.GGUFValueType = number) -> None:
            writer.add_key_value(
                "comfy.gguf.orig_shape.a", [2, 4, 2, 2], gguf.GGUFValueType.ARRAY, sub_type=number
            )

        path = write_gguf(tmp_path / "a.gguf", {"a": torch.ones(1, 32)}, finish=finish)
        assert GgufFormat().read_header(path).tensors["a"].shape == (2, 4, 2, 2)
        assert GgufFormat().open_tensors(path)["a"].shape == (2, 4, 2, 2)


def split(folder: Path, numbers: tuple[int, ...], names: str = "abc") -> list[Path]:
    """Pieces of a model of three, of which those of these numbers are there."""
    return [
        write_gguf(folder / f"m-{number:05}-of-00003.gguf", {names[number - 1]: torch.ones(2, 32)})
        for number in numbers
    ]


def test_a_missing_or_later_piece_and_a_tensor_in_two_are_told(tmp_path: Path) -> None:
    first, second, third = split(tmp_path, (1, 2, 3))
    assert set(GgufFormat().read_header(first).tensors) == set("abc")
    with pytest.raises(CheckpointError, match="m-00001-of-00003") as caught:
        GgufFormat().read_header(second)
    assert "one piece" in caught.value.what
    assert caught.value.hint == f"Name '{first.name}'."
    third.unlink()
    with pytest.raises(CheckpointError, match=third.name):
        GgufFormat().read_header(first)
    first.unlink()
    with pytest.raises(CheckpointError) as caught:
        GgufFormat().read_header(second)
    assert "has to be put beside it" in caught.value.hint
    split(tmp_path, (1,))
    split(tmp_path, (3,), "aba")
    with pytest.raises(CheckpointError, match="another of the model's pieces"):
        GgufFormat().read_header(first)


def test_a_piece_under_another_name_is_told_to_be_one(tmp_path: Path) -> None:
    def of_three(writer: gguf.GGUFWriter) -> None:
        writer.add_int32("split.tensors.count", 3)

    path = write_gguf(tmp_path / "renamed.gguf", {"a": torch.ones(2, 32)}, finish=of_three)
    with pytest.raises(CheckpointError, match="is a piece of a model") as caught:
        GgufFormat().read_header(path)
    assert "3 tensors, of which 1 are here" in caught.value.why


def test_a_file_that_is_gone_or_empty_is_told(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot be read"):
        GgufFormat().read_header(tmp_path / "none.gguf")
    (tmp_path / "empty.gguf").touch()
    with pytest.raises(CheckpointError, match="empty"):
        GgufFormat().read_header(tmp_path / "empty.gguf")


def test_a_file_cut_short_while_in_use_is_told(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "a.gguf", {"a": torch.ones(64, 32)})
    opened = GgufFormat().open_tensors(path)
    os.truncate(path, 500)
    with pytest.raises(CheckpointError, match="cut short"):
        opened["a"]


@pytest.mark.parametrize("name", ["Q8_1", "Q8_K"])
def test_blocks_of_intermediate_results_are_refused_as_weights(tmp_path: Path, name: str) -> None:
    number, kind = next((number, kind) for number, kind in TYPES.items() if kind.name == name)
    path = tmp_path / "a.gguf"
    path.write_bytes(whole_file([], [tensor("a", (kind.block_size,), number, 0)], kind.block_bytes))
    assert GgufFormat().read_header(path).tensors["a"].dtype == name
    with pytest.raises(CheckpointError, match=name):
        GgufFormat().open_tensors(path)["a"]


def test_a_gguf_file_under_another_name_is_told(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "a.safetensors", {"a": torch.ones(1)})
    with pytest.raises(CheckpointError, match="GGUF file under another name"):
        read_safetensors(path)


def test_reading_a_header_imports_neither_torch_nor_numpy_nor_gguf(tmp_path: Path) -> None:
    assert isinstance(GgufFormat(), WeightFormat)
    path = write_gguf(tmp_path / "a.gguf", {"a": torch.ones(1, 32)})
    code = (
        "import sys; from pathlib import Path; from sfumato_quant_gguf.format import GgufFormat;"
        f"GgufFormat().read_header(Path({str(path)!r}));"
        "assert not {'torch', 'numpy', 'gguf'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


_NAMES = st.text(min_size=1, max_size=12)
_TENSORS = st.dictionaries(
    _NAMES, st.tuples(st.sampled_from(sorted(TYPES)), st.lists(st.integers(1, 3), max_size=3)), max_size=5
)


@settings(max_examples=150, deadline=None)
@given(
    wanted=_TENSORS,
    texts=st.dictionaries(_NAMES, st.text(max_size=30), max_size=5),
    exponent=st.integers(0, 8),
)
def test_any_file_is_read_as_it_was_described(
    wanted: dict[str, tuple[int, list[int]]], texts: dict[str, str], exponent: int
) -> None:
    texts.pop("general.alignment", None)
    described, expected, offset, alignment = [], {}, 0, 2**exponent
    for name, (number, outer) in wanted.items():
        shape = (*outer, TYPES[number].block_size)
        described.append(tensor(name, shape[::-1], number, offset))
        expected[name] = (TYPES[number].name, shape, offset)
        offset = -(-(offset + TYPES[number].size_bytes(int(np.prod(shape)))) // alignment) * alignment
    entries = [entry(key, 8, text(value)) for key, value in texts.items()]
    entries.append(entry("general.alignment", 4, struct.pack("<I", alignment)))
    counts = struct.pack("<4sIQQ", b"GGUF", 3, len(described), len(entries))
    body = counts + b"".join(entries) + b"".join(described)
    start = -(-len(body) // alignment) * alignment
    header = read(body + bytes(start - len(body) + offset))
    found = {name: (one.type.name, one.shape, one.start - start) for name, one in header.tensors.items()}
    assert found == expected
    assert header.metadata == {**texts, "general.alignment": alignment}


@settings(max_examples=300, deadline=None)
@given(junk=st.binary(max_size=200), counts=st.tuples(st.integers(0, 3), st.integers(0, 3)))
def test_junk_behind_a_beginning_ends_in_a_header_or_in_words(junk: bytes, counts: tuple[int, int]) -> None:
    with contextlib.suppress(CheckpointError):
        read(counted(*counts, rest=junk))


def test_a_large_vocabulary_takes_no_memory_until_it_is_asked_for() -> None:
    many = 100_000
    data = whole_file([entry("tokens", 9, listed(8, [text("word")] * many))], [], 0)
    tracemalloc.start()
    try:
        assert isinstance(read(data).metadata["tokens"], ArrayField)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()
