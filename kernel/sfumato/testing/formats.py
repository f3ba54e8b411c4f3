"""The contract of weight formats."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest

from sfumato.errors import CheckpointError
from sfumato.models import WeightFormat, WeightFormatInfo
from sfumato.registry import Entry
from sfumato.testing.entries import EntryContract, heavy_imports_of

CUTS = (0.0, 0.001, 0.01, 0.1, 0.5, 0.9, 0.999)
HOSTILE = (
    b"",
    b"\0",
    b"\0" * 4096,
    b"\xff" * 4096,
    b"\xff" * 7 + b"\x7f" + b"{" * 64,
    b"{" * 100_000,
    b'{"a": ' * 20_000,
    b"\x10\0\0\0\0\0\0\0" + b"\xf0\x9f" * 8,
    b"PK\x03\x04" + b"\0" * 64,
)
READING = """
import sys
from pathlib import Path
from sfumato.testing.entries import Installation
reader = Installation().registries.weight_formats.get(sys.argv[2]).load()()
assert reader.read_header(Path(sys.argv[1])).tensors
"""


class WeightFormatContract(EntryContract):
    """What a registered weight format promises, tried on a tiny file that the class writes."""

    registry: ClassVar[str] = "weight_formats"

    def write_file(self, folder: Path) -> Path:
        """Write a tiny file, or model folder, of this format, with two tensors at least.

        Returns:
            Its path, which is in `folder` or `folder` itself.
        """
        raise NotImplementedError("Tell the contract how to write a tiny file of this format.")

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        return self.write_file(tmp_path)

    @pytest.fixture
    def reader(self, entry: Entry[WeightFormatInfo]) -> WeightFormat:
        found: WeightFormat = entry.load()()
        return found

    def test_it_says_which_files_are_its_own(self, entry: Entry[WeightFormatInfo], path: Path) -> None:
        if path.is_dir():
            assert (path / entry.info.folder_marker).is_file()
        else:
            assert path.suffix.lower() in entry.info.suffixes
        assert all(suffix == suffix.lower() and suffix[0] == "." for suffix in entry.info.suffixes)

    def test_the_header_agrees_with_the_tensors(self, reader: WeightFormat, path: Path) -> None:
        header, tensors = reader.read_header(path), reader.open_tensors(path)
        assert header.path == path
        assert header.format
        assert len(header.tensors) >= 2
        assert set(tensors) == set(header.tensors)
        for name, info in header.tensors.items():
            assert tuple(tensors[name].shape) == info.shape, name
            assert info.size_bytes >= 0
            file = info.file or header.path
            assert info.end <= file.stat().st_size, name

    def test_reading_a_header_imports_nothing_heavy(self, path: Path, entry: Entry[WeightFormatInfo]) -> None:
        assert heavy_imports_of(READING, str(path), entry.info.name) == set()

    @pytest.mark.parametrize("share", CUTS)
    def test_a_file_that_was_cut_off_is_refused(self, reader: WeightFormat, path: Path, share: float) -> None:
        weights = files_with_weights(reader, path)
        for file in files_of(path):
            whole = file.read_bytes()
            file.write_bytes(whole[: int(share * len(whole))])
            refused = is_refused(reader, path)
            file.write_bytes(whole)
            assert refused or file not in weights, f"{file.name} of {len(whole)} bytes"

    @pytest.mark.parametrize("content", HOSTILE, ids=range(len(HOSTILE)))
    def test_what_is_no_such_file_is_refused(self, reader: WeightFormat, path: Path, content: bytes) -> None:
        weights = files_with_weights(reader, path)
        for file in files_of(path):
            whole = file.read_bytes()
            file.write_bytes(content)
            refused = is_refused(reader, path)
            file.write_bytes(whole)
            assert refused or file not in weights, file.name

    def test_any_flipped_byte_is_read_or_refused(self, reader: WeightFormat, path: Path) -> None:
        for file in files_of(path):
            whole = file.read_bytes()
            for position in range(min(len(whole), 200)):
                damaged = bytearray(whole)
                damaged[position] ^= 0x55
                file.write_bytes(damaged)
                is_refused(reader, path)
            file.write_bytes(whole)


def files_of(path: Path) -> list[Path]:
    """The file, or all that a model folder has."""
    return sorted(item for item in path.rglob("*") if item.is_file()) if path.is_dir() else [path]


def files_with_weights(reader: WeightFormat, path: Path) -> set[Path]:
    """Those that hold tensors: a model folder has others, some of which may say anything."""
    return {info.file or path for info in reader.read_header(path).tensors.values()}


def is_refused(reader: WeightFormat, path: Path) -> bool:
    """Whether a file is refused as people are to be told of it; any other exception goes through."""
    try:
        reader.read_header(path)
        for tensor in reader.open_tensors(path).values():
            tensor.shape  # noqa: B018 - a mapped tensor is made when it is asked for
    except CheckpointError:
        return True
    return False
