"""`sfumato replay` and `sfumato verify`: what is said, printed and returned."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from ..conftest import InstallPlugin
from .conftest import Sfumato

REPLAYING_PLUGIN = """
import json
import signal
from pathlib import Path

from sfumato.errors import BadInput
from sfumato.hookspecs import hookimpl
from sfumato.records import ImageRecord
from sfumato.replay import CannotReplay, Difference, NoStory, ReplayReport
from sfumato.request import GenerationRequest

SFUMATO_API = "1.0"

TORCH = (Difference(what="torch", then="1.0", now="2.0"),)


def replay(request, context):
    print("drawing")
    context.cancel.check()
    name = request.path.stem
    if name == "lost":
        raise BadInput(f"There is no picture '{request.path}'.")
    if name == "gone":
        raise CannotReplay("'gone.png' cannot be drawn again.", why="No sampler.", differences=TORCH)
    if name == "blank":
        raise NoStory("'blank.png' does not tell how it was made.")
    if name == "broken":
        raise ZeroDivisionError("of a plugin's own making")
    if name.startswith("interrupt"):
        signal.raise_signal(signal.SIGINT)
    if name == "interrupt-twice":
        signal.raise_signal(signal.SIGINT)
    folder = Path(context.output_folder)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"new-{request.path.name}"
    path.write_text(json.dumps(request.changes))
    levels = {"same": 0, "near": 1, "far": 45, "resized": None}.get(name, 0)
    return ReplayReport(
        path=request.path,
        record=ImageRecord(path=path, seed=1, width=8, height=8, infotext="", request=GenerationRequest()),
        source="story",
        largest_difference=levels,
        differing_share=None if levels is None else levels / 100,
        differences=TORCH,
        changes=tuple(Difference(what=n, then="", now=str(v)) for n, v in request.changes.items()),
        not_carried_over=("Tiling: True",) if name == "far" else (),
    )


@hookimpl
def register_tasks(tasks):
    tasks.add("replay", replay, label="Replay")
"""


@pytest.fixture
def replaying(settings_file: Path, install_plugin: InstallPlugin, sfumato: Sfumato) -> Sfumato:
    """The command line with a task 'replay' whose outcome follows from the picture's name."""
    install_plugin("replaying", REPLAYING_PLUGIN)
    return sfumato


def folder_of(*names: str) -> Path:
    folder = Path("pictures")
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def test_the_new_path_is_printed_and_the_outcome_told(replaying: Sfumato) -> None:
    outcome = replaying("replay", "same.png", "--out", "again")
    assert (outcome.code, outcome.lines) == (0, [str(Path("again/new-same.png"))])
    assert outcome.err.splitlines() == ["imported", "drawing", "The same as same.png: to the bit."]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("near.png", "The same as near.png up to rounding: 1.00% of the pixels differ by one level of 255."),
        ("far.png", "Not the same as far.png: 45.00% of the pixels differ, by up to 45 levels of 255."),
        ("resized.png", "Not the same as resized.png: the sizes differ."),
    ],
)
def test_what_differs_is_told_with_the_causes_known(replaying: Sfumato, name: str, told: str) -> None:
    outcome = replaying("replay", name)
    assert outcome.code == 0
    assert f"{told}\n  torch: 1.0 then, 2.0 now\n" in outcome.err
    assert ("Not carried over: Tiling: True" in outcome.err) == (name == "far.png")


def test_pictures_that_fail_do_not_stop_the_others(replaying: Sfumato) -> None:
    outcome = replaying("replay", "lost.png", "gone.png", "same.png")
    assert outcome.code == 2
    assert outcome.lines == [str(Path("outputs/new-same.png"))]
    assert "Error: There is no picture 'lost.png'." in outcome.err
    assert (
        "Error: 'gone.png' cannot be drawn again.\nNo sampler.\n  torch: 1.0 then, 2.0 now\n" in outcome.err
    )


def test_changes_are_read_by_the_kind_of_their_field(replaying: Sfumato) -> None:
    words = [
        "steps=30",
        "prompt=123 = x",
        "sampler_options.eta=0.5",
        "model=true",
        "stages={}",
        "emphasis=none",
    ]
    outcome = replaying("replay", "same.png", *(word for each in words for word in ("--set", each)))
    assert outcome.code == 0
    assert json.loads(Path(outcome.lines[0]).read_text()) == {
        "steps": 30,
        "prompt": "123 = x",
        "sampler_options.eta": 0.5,
        "model": "true",
        "stages": {},
        "emphasis": "none",
    }
    assert "A variation of same.png. Changed:\n  steps: nothing then, 30 now\n" in outcome.err


@pytest.mark.parametrize(
    ("pair", "message"),
    [("stepz=3", "Did you mean steps"), ("steps", "is not a field with a value"), ("=3", "is not a field")],
)
def test_changes_that_are_none_are_refused_at_once(replaying: Sfumato, pair: str, message: str) -> None:
    outcome = replaying("replay", "same.png", "--set", pair)
    assert outcome.code == 2
    assert message in outcome.err
    assert "drawing" not in outcome.err


def test_json_tells_scripts_all_of_it(replaying: Sfumato) -> None:
    lines = replaying("replay", "near.png", "gone.png", "--json").lines
    near, gone = (json.loads(line) for line in lines)
    assert (near["verdict"], near["same"], near["largest_difference"]) == ("rounding", True, 1)
    assert near["new"]["path"] == str(Path("outputs/new-near.png"))
    assert (gone["verdict"], gone["path"]) == ("cannot", "gone.png")
    assert gone["differences"] == [{"what": "torch", "then": "1.0", "now": "2.0"}]


def test_ctrl_c_ends_replaying_between_pictures(replaying: Sfumato) -> None:
    outcome = replaying("replay", "same.png", "interrupt.png", "near.png")
    assert outcome.code == 130
    assert "Stopping after this step" in outcome.err
    assert "Cancelled" in outcome.err
    assert not Path("outputs/new-near.png").exists()


def test_a_folder_is_verified_in_a_table(replaying: Sfumato) -> None:
    folder = folder_of(
        "same.png", "near.webp", "far.JPG", "gone.png", "blank.png", "notes.txt", ".hidden.png"
    )
    outcome = replaying("verify", str(folder))
    assert outcome.code == 1
    header, *rows = outcome.lines
    assert header.split() == ["picture", "result", "details"]
    assert [row.partition("  ")[0] for row in rows] == [
        "blank.png",
        "far.JPG",
        "gone.png",
        "near.webp",
        "same.png",
    ]
    results = [" ".join(row.split()) for row in rows]
    assert results[0].startswith("blank.png no story 'blank.png' does not tell")
    assert results[1].startswith(
        "far.JPG differs 45.00% of the pixels differ, by up to 45 levels of 255; torch: "
    )
    assert results[1].endswith("not carried over: Tiling: True")
    assert results[2].startswith("gone.png cannot 'gone.png' cannot be drawn again.")
    assert results[3].startswith("near.webp same up to rounding 1.00%")
    assert results[4] == "same.png same to the bit"
    assert "Passed over, being no pictures: 1 (notes.txt)" in outcome.err
    assert not Path("outputs").exists()


def test_a_folder_of_the_same_pictures_ends_well(replaying: Sfumato) -> None:
    assert replaying("verify", str(folder_of("same.png", "near.png"))).code == 0


def test_a_picture_that_breaks_a_plugin_does_not_end_verifying(replaying: Sfumato) -> None:
    outcome = replaying("verify", str(folder_of("broken.png", "same.png")))
    assert outcome.code == 1
    assert [" ".join(line.split()) for line in outcome.lines[1:]] == [
        "broken.png cannot ZeroDivisionError: of a plugin's own making",
        "same.png same to the bit",
    ]


def test_inner_folders_are_verified_when_asked_for(replaying: Sfumato) -> None:
    folder = folder_of("same.png", "inner/far.png")
    assert replaying("verify", str(folder)).code == 0
    outcome = replaying("verify", str(folder), "--recursive", "--json")
    assert outcome.code == 1
    assert [json.loads(line)["verdict"] for line in outcome.lines] == ["differs", "same"]


def test_hidden_folders_are_passed_over(replaying: Sfumato) -> None:
    folder = folder_of("same.png", ".thumbnails/far.png")
    assert replaying("verify", str(folder), "--recursive").code == 0


def test_an_unreadable_folder_does_not_pass_unverified(
    replaying: Sfumato, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folder_of("same.png", "closed/far.png")
    scan = os.scandir

    def closed(path: str) -> object:
        if Path(path).name == "closed":
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", closed)
    outcome = replaying("verify", str(folder), "--recursive")
    assert outcome.code == 2
    assert "closed' cannot be read.\nPermission denied." in outcome.err


def test_scripts_are_told_of_no_picture_that_is_gone(replaying: Sfumato) -> None:
    folder = folder_of("blank.png", "same.png")
    blank, same = (json.loads(line) for line in replaying("verify", str(folder), "--json").lines)
    assert (blank["verdict"], same["verdict"], same["new"]["path"]) == ("no story", "same", None)
    *_, kept = (json.loads(line) for line in replaying("verify", str(folder), "--json", "--keep", "k").lines)
    assert Path(kept["new"]["path"]).is_file()


def test_new_pictures_are_kept_when_asked_for(replaying: Sfumato) -> None:
    replaying("verify", str(folder_of("same.png", "far.png")), "--keep", "kept")
    assert sorted(path.name for path in Path("kept").iterdir()) == ["new-far.png", "new-same.png"]


@pytest.mark.parametrize(
    ("names", "message"), [((), "is no folder"), (("notes.txt",), "There are no pictures in")]
)
def test_nothing_to_verify_is_bad_input(replaying: Sfumato, names: tuple[str, ...], message: str) -> None:
    outcome = replaying("verify", str(folder_of(*names)))
    assert outcome.code == 2
    assert message in outcome.err


def test_ctrl_c_ends_verifying_with_the_table_so_far(replaying: Sfumato) -> None:
    outcome = replaying("verify", str(folder_of("a.png", "interrupt.png", "z.png")))
    assert outcome.code == 130
    assert [line.split()[0] for line in outcome.lines] == ["picture", "a.png"]
    assert "1 of 3 pictures were verified." in outcome.err


def test_a_second_ctrl_c_ends_verifying_at_once(replaying: Sfumato) -> None:
    outcome = replaying("verify", str(folder_of("a.png", "interrupt-twice.png")))
    assert outcome.code == 130
    assert "Traceback" not in outcome.err
