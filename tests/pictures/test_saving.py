"""Pictures on disk: whole, numbered, never one over another."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfumato.errors import SfumatoError
from sfumato_engine.settings import EngineSettings
from sfumato_pictures.file_names import LONGEST_NAME, render
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


SAVE_TEN = """
import sys
from pathlib import Path
from sfumato_pictures.saving import PictureFolder
pictures = PictureFolder(Path(sys.argv[1]))
for seed in range(10):
    pictures.save(str(seed).encode() * 10, str(seed))
"""


def test_processes_saving_into_one_folder_never_share_a_number(tmp_path: Path) -> None:
    workers = [subprocess.Popen([sys.executable, "-c", SAVE_TEN, tmp_path]) for _ in range(4)]
    assert [worker.wait() for worker in workers] == [0] * 4
    numbers = [name.partition("-")[0] for name in names(tmp_path)]
    assert numbers == [f"{number:05d}" for number in range(1, 41)]
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


VALUES = {
    "seed": 7,
    "model": "gauss",
    "width": 64,
    "height": 32,
    "date": "2026-01-02",
    "prompt": "a red/apple",
}


def test_names_follow_the_pattern() -> None:
    assert render("{seed}-{model}-{prompt}", VALUES) == "7-gauss-a-red-apple"


@pytest.mark.parametrize(
    ("prompt", "name"),
    [
        ("赤いリンゴ、皿の上", "赤いリンゴ-皿の上"),
        ("Красное яблоко", "Красное-яблоко"),
        ("हिन्दी", "हिन्दी"),
        ("Ka\u0308fer", "Käfer"),
        ("left\u202eright 🍎", "left-right"),
        ("字" * 200, "字" * 80),
    ],
)
def test_letters_of_any_script_are_kept(prompt: str, name: str) -> None:
    assert render("{prompt}", {**VALUES, "prompt": prompt}) == name


@given(st.text() | st.text(st.characters(categories=["L", "M"]), min_size=60))
def test_no_prompt_escapes_the_folder_or_hides_the_file(prompt: str) -> None:
    name = render("{prompt}", {**VALUES, "prompt": prompt})
    assert len(name) <= LONGEST_NAME
    assert len(f"1000000-{name}.png".encode()) <= 255
    assert not name.startswith((".", "-"))
    assert not set(name) & set('/\\:*?"<>|\0\n ')


def test_unknown_placeholders_are_refused_when_the_setting_is_made() -> None:
    with pytest.raises(ValueError, match=r"unknown placeholder \{sed\}"):
        EngineSettings(file_name="{sed}")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder that nobody can write to")
def test_a_folder_that_takes_no_files_is_told_before_anything_is_drawn() -> None:
    with pytest.raises(SfumatoError, match="--out"):
        PictureFolder(Path("/proc"))
