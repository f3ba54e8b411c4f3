"""Files are replaced whole or not at all, and hashed once."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sfumato.atomic import write_atomically
from sfumato.file_hashes import LIMIT, FileHashes

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


@pytest.mark.skipif(sys.platform == "win32", reason="needs rights for group and others")
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666])
def test_a_replaced_file_keeps_its_rights(tmp_path: Path, mode: int) -> None:
    target = tmp_path / "settings.toml"
    target.touch()
    target.chmod(mode)
    write_atomically(target, b"new")
    assert target.stat().st_mode & 0o777 == mode


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


def changed_unnoticed(file: Path, content: bytes) -> None:
    """Same size, and the time is put back: only a re-read would notice."""
    stat = file.stat()
    file.write_bytes(content)
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def test_a_remembered_hash_is_not_computed_again(tmp_path: Path) -> None:
    file, store = tmp_path / "a.bin", tmp_path / "hashes.json"
    file.write_bytes(b"one")
    FileHashes(store).sha256(file)
    changed_unnoticed(file, b"two")
    assert FileHashes(store).sha256(file) == hashlib.sha256(b"one").hexdigest()


def test_what_is_remembered_can_be_asked_without_reading(tmp_path: Path) -> None:
    file, store = tmp_path / "a.bin", tmp_path / "hashes.json"
    file.write_bytes(b"one")
    assert FileHashes(store).known(file) == ""
    FileHashes(store).sha256(file)
    assert FileHashes(store).known(file) == hashlib.sha256(b"one").hexdigest()
    file.write_bytes(b"three")
    assert FileHashes(store).known(file) == ""


def test_two_programs_keep_each_others_hashes(tmp_path: Path) -> None:
    store = tmp_path / "hashes.json"
    files = [tmp_path / name for name in ("a.bin", "b.bin", "c.bin")]
    first, second = FileHashes(store), FileHashes(store)
    for file, program in zip(files, (first, second, first), strict=True):
        file.write_bytes(b"one")
        program.sha256(file)
        changed_unnoticed(file, b"two")
    assert {FileHashes(store).sha256(file) for file in files} == {hashlib.sha256(b"one").hexdigest()}


def test_many_threads_hash_at_once(tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.bin" for number in range(200)]
    for file in files:
        file.write_text(file.name)
    store, before = tmp_path / "hashes.json", sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(FileHashes(store).sha256, files))
    finally:
        sys.setswitchinterval(before)
    assert found == [hashlib.sha256(file.name.encode()).hexdigest() for file in files]
    assert len(json.loads(store.read_text())) == len(files)


def test_a_file_that_changes_is_remembered_once(tmp_path: Path) -> None:
    file, store = tmp_path / "a.bin", tmp_path / "hashes.json"
    for size in range(5):
        file.write_bytes(b"x" * size)
        FileHashes(store).sha256(file)
    assert len(json.loads(store.read_text())) == 1


def test_the_oldest_hashes_are_forgotten(tmp_path: Path) -> None:
    file, store = tmp_path / "a.bin", tmp_path / "hashes.json"
    store.write_text(json.dumps({f"/gone/{number}": "1|1|abc" for number in range(LIMIT)}))
    file.write_bytes(b"one")
    FileHashes(store).sha256(file)
    kept = list(json.loads(store.read_text()))
    assert len(kept) == LIMIT
    assert (kept[0], kept[-1]) == ("/gone/1", str(file.resolve()))


def test_a_store_that_cannot_be_written_only_costs_time(tmp_path: Path) -> None:
    file = tmp_path / "a.bin"
    file.write_bytes(b"one")
    hashes = FileHashes(file / "hashes.json")
    digest = hashes.sha256(file)
    changed_unnoticed(file, b"two")
    assert hashes.sha256(file) == digest == hashlib.sha256(b"one").hexdigest()


@pytest.mark.parametrize(
    "content", [b"not json", b"[1, 2]", b"\xff\xfe", b"[" * 100_000, b'{"a": 1, "b": null}']
)
def test_a_damaged_hash_store_only_costs_time(tmp_path: Path, content: bytes) -> None:
    file, store = tmp_path / "a.bin", tmp_path / "hashes.json"
    file.write_bytes(b"one")
    store.write_bytes(content)
    assert FileHashes(store).sha256(file) == hashlib.sha256(b"one").hexdigest()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes in the file system")
def test_what_is_no_file_is_not_replaced_by_one(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="no file"):
        write_atomically(pipe, b"new")
    assert pipe.is_fifo()
    assert list(tmp_path.iterdir()) == [pipe]
