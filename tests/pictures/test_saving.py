"""Pictures on disk: whole, numbered, never one over another."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from sfumato.errors import SfumatoError
from sfumato_pictures.saving import PictureFolder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_pictures_are_numbered_from_one_in_a_folder_made_for_them(tmp_path: Path) -> None:
    folder = PictureFolder(tmp_path / "a" / "b")
    assert folder.save(b"one", "5").name == "00001-5.png"
    assert folder.save(b"two", "5").name == "00002-5.png"
    assert folder.save(b"three", "").name == "00003.png"
    assert (tmp_path / "a" / "b" / "00002-5.png").read_bytes() == b"two"


def test_numbers_go_on_after_what_lies_there(tmp_path: Path) -> None:
    for name in ("00041-7.jpg", "100000-x.png", "12-short.png", "notes.txt"):
        (tmp_path / name).write_text("mine")
    assert PictureFolder(tmp_path).save(b"", "1").name == "100001-1.png"


def test_formats_share_the_numbers_of_a_folder(tmp_path: Path) -> None:
    folder = PictureFolder(tmp_path)
    assert [folder.save(b"", "a", suffix).name for suffix in (".webp", ".png", ".jpg")] == [
        "00001-a.webp",
        "00002-a.png",
        "00003-a.jpg",
    ]


def test_names_without_numbers_never_meet(tmp_path: Path) -> None:
    folder = PictureFolder(tmp_path, numbered=False)
    (tmp_path / "a-1.png").write_text("mine")
    assert [folder.save(b"new", name).name for name in ("a", "a", "", "b")] == [
        "a.png",
        "a-2.png",
        "00001.png",
        "b.png",
    ]
    assert (tmp_path / "a-1.png").read_text() == "mine"


SAVE_TEN = """
import sys
from pathlib import Path
from sfumato_pictures.saving import PictureFolder
pictures = PictureFolder(Path(sys.argv[1]), numbered=sys.argv[2] == "numbered")
for seed in range(10):
    pictures.save(str(seed).encode() * 10, "x")
"""


@pytest.mark.parametrize(
    ("numbering", "expected"),
    [
        ("numbered", [f"{number:05d}-x.png" for number in range(1, 41)]),
        ("named", sorted(["x.png", *(f"x-{number}.png" for number in range(1, 40))])),
    ],
)
def test_processes_saving_into_one_folder_never_share_a_name(
    tmp_path: Path, numbering: str, expected: list[str]
) -> None:
    workers = [subprocess.Popen([sys.executable, "-c", SAVE_TEN, tmp_path, numbering]) for _ in range(4)]
    assert [worker.wait() for worker in workers] == [0] * 4
    assert names(tmp_path) == expected
    assert all(path.stat().st_size == 10 for path in tmp_path.iterdir())


def test_a_late_claim_on_a_number_just_published_ends_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Late lists the empty folder, Early publishes 1, Late claims 1, Early ends, Late sees its error."""
    list_folder, replace = os.listdir, os.replace
    published, claimed = threading.Event(), threading.Event()
    early = threading.Thread(target=lambda: PictureFolder(tmp_path).save(b"early", "early"), name="early")
    listings = iter((early.start, claimed.set))

    def listing(path: Path) -> list[str]:
        entries = list_folder(path)
        if threading.current_thread() is early:
            return entries
        next(listings, lambda: None)()
        if not claimed.is_set():
            assert published.wait(10)
            return entries
        early.join(10)
        return list_folder(path)

    def publish(part: Path, final: Path) -> None:
        replace(part, final)
        if threading.current_thread() is early:
            published.set()
            assert claimed.wait(10)

    monkeypatch.setattr(os, "listdir", listing)
    monkeypatch.setattr(os, "replace", publish)
    assert PictureFolder(tmp_path).save(b"late", "late").name == "00002-late.png"
    assert names(tmp_path) == ["00001-early.png", "00002-late.png"]


FULL_DISK = """
import pathlib, resource, sys
from sfumato import SfumatoError
from sfumato_pictures.saving import PictureFolder

resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
folder = PictureFolder(pathlib.Path(sys.argv[1]))
folder.save(b"x" * 4096, "fits")
try:
    folder.save(b"x" * 4097, "does not")
except SfumatoError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on the size of files to set")
def test_a_full_disk_is_told_and_leaves_no_half_written_picture(tmp_path: Path) -> None:
    """The system lets no file grow past 4 kB there: in a process of its own, for it would stop a log too."""
    done = subprocess.run([sys.executable, "-c", FULL_DISK, tmp_path], capture_output=True, text=True)
    assert "disk is full" in done.stdout, done.stderr
    assert names(tmp_path) == ["00001-fits.png"]


def test_a_file_in_place_of_the_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(SfumatoError, match="--out"):
        PictureFolder(tmp_path / "out" / "deeper")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder that nobody can write to")
def test_a_folder_that_takes_no_files_is_told_before_anything_is_drawn() -> None:
    with pytest.raises(SfumatoError, match="--out"):
        PictureFolder(Path("/proc"))
