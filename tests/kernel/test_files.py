"""Files are replaced whole or not at all, and hashed once."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sfumato.atomic import write_atomically
from sfumato.file_hashes import FileHashes

FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from sfumato.atomic import write_atomically

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_atomically(Path(sys.argv[1]), b"x" * 5000)
except OSError as error:
    print("refused", error.errno)
"""


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    target = tmp_path / "settings.toml"
    target.write_bytes(b"old")
    write_atomically(target, b"new")
    assert target.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [target]


def test_a_replaced_file_is_as_readable_as_any_other(tmp_path: Path) -> None:
    ours, plain = tmp_path / "ours", tmp_path / "plain"
    write_atomically(ours, b"")
    plain.touch()
    assert ours.stat().st_mode == plain.stat().st_mode


@pytest.mark.skipif(sys.platform == "win32", reason="needs file size limits")
def test_a_write_that_does_not_fit_keeps_the_old_file_and_leaves_no_other(tmp_path: Path) -> None:
    target = tmp_path / "settings.toml"
    target.write_bytes(b"old")
    script = [sys.executable, "-c", FULL_DISK, str(target)]
    assert subprocess.run(script, capture_output=True, text=True, check=True).stdout.startswith("refused")
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_hash_is_that_of_the_bytes_and_follows_a_change(tmp_path: Path) -> None:
    file, hashes = tmp_path / "a.bin", FileHashes(tmp_path / "cache" / "hashes.json")
    file.write_bytes(b"one")
    assert hashes.sha256(file) == hashlib.sha256(b"one").hexdigest()
    file.write_bytes(b"other")
    assert hashes.sha256(file) == hashlib.sha256(b"other").hexdigest()


def test_a_remembered_hash_is_not_computed_again(tmp_path: Path) -> None:
    file, store = tmp_path / "a.bin", tmp_path / "hashes.json"
    file.write_bytes(b"one")
    stat = file.stat()
    FileHashes(store).sha256(file)
    file.write_bytes(b"two")  # same size, and the time is put back: only a re-read would notice
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert FileHashes(store).sha256(file) == hashlib.sha256(b"one").hexdigest()


@pytest.mark.parametrize("content", [b"not json", b"[1, 2]", b"\xff\xfe"])
def test_a_damaged_hash_store_only_costs_time(tmp_path: Path, content: bytes) -> None:
    file, store = tmp_path / "a.bin", tmp_path / "hashes.json"
    file.write_bytes(b"one")
    store.write_bytes(content)
    assert FileHashes(store).sha256(file) == hashlib.sha256(b"one").hexdigest()
