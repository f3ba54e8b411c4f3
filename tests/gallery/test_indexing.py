from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin

from sfumato import Studio
from sfumato.errors import BadInput, Cancelled
from sfumato.events import CancelToken, Event, StepCompleted, Warned
from sfumato_gallery.filters import Filters
from sfumato_gallery.index import Found, PictureIndex
from sfumato_gallery.records import IndexReport, picture_id
from sfumato_pictures.formats import encode_picture

from ..infotexts import BEETLE, FOX, SAILOR
from .conftest import WritePicture

Run = Callable[..., IndexReport]

GRAPH = {
    "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "sdxl/harbor.safetensors"}},
    "2": {"class_type": "LoraLoader", "inputs": {"lora_name": "inkWash.safetensors", "model": ["1", 0]}},
    "3": {"class_type": "CLIPTextEncode", "inputs": {"text": "a brass robot", "clip": ["2", 1]}},
    "4": {"class_type": "CLIPTextEncode", "inputs": {"text": "rust", "clip": ["2", 1]}},
    "5": {
        "class_type": "KSampler",
        "inputs": {"seed": 99, "steps": 12, "cfg": 3, "sampler_name": "euler", "positive": ["3", 0],
                   "negative": ["4", 0], "model": ["2", 0]},
    },
}  # fmt: skip


def rows(index: PictureIndex, **filters: object) -> dict[str, Found]:
    return {row.name: row for row in index.find(Filters(**filters), limit=1000)}  # type: ignore[arg-type]


@pytest.mark.parametrize("format", ["png", "jpeg", "webp", "avif"])
def test_infotexts_are_read_from_every_format(
    format: str, output: Path, run_indexing: Run, index: PictureIndex
) -> None:
    pixels = Image.new("RGB", (48, 32), "teal")
    encoded = encode_picture(pixels, {"parameters": FOX}, format=format)  # type: ignore[arg-type]
    (output / f"a{encoded.suffix}").write_bytes(encoded.content)
    assert run_indexing().added == 1
    (row,) = rows(index).values()
    assert (row.width, row.height, row.seed, row.steps, row.cfg) == (48, 32, 3319, 30, 6.0)
    assert (row.prompt, row.negative_prompt) == ("fox in snow, <lora:inkWash:0.8>", "photo")
    assert (row.model, row.sampler, row.infotext) == ("meadow", "DPM++ SDE", FOX)
    assert index.loras([row.number])[row.number] == ["inkWash", "paper-grain"]


def test_graphs_of_comfyui_are_read(output: Path, run_indexing: Run, index: PictureIndex) -> None:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("prompt", json.dumps(GRAPH))
    Image.new("RGB", (8, 8)).save(output / "comfy.png", pnginfo=texts)
    run_indexing()
    row = rows(index)["comfy.png"]
    assert (row.prompt, row.negative_prompt, row.model) == ("a brass robot", "rust", "harbor")
    assert (row.seed, row.steps, row.cfg, row.sampler) == (99, 12, 3.0, "euler")
    assert index.loras([row.number])[row.number] == ["inkWash"]


@pytest.mark.parametrize(
    "graph", ["[]", "{", '{"1": 5}', '{"1": {"inputs": {"positive": ["1", 0], "steps": []}}}']
)
def test_a_graph_that_is_none_leaves_a_picture_without_words(
    graph: str, output: Path, run_indexing: Run, index: PictureIndex
) -> None:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("prompt", graph)
    Image.new("RGB", (8, 8)).save(output / "odd.png", pnginfo=texts)
    assert run_indexing().added == 1
    assert rows(index)["odd.png"].prompt == ""


def test_damaged_files_are_left_out_and_told(
    output: Path, write_picture: WritePicture, run_indexing: Run, index: PictureIndex
) -> None:
    whole = write_picture("whole.png", SAILOR).read_bytes()
    (output / "empty.png").touch()
    (output / "text.jpg").write_text("no picture")
    (output / "cut.png").write_bytes(whole[:20])
    (output / "notes.txt").write_text("not looked at")
    events: list[Event] = []
    report = run_indexing(on_event=events.append)
    assert (report.found, report.added, report.skipped_total) == (4, 1, 3)
    assert sum(isinstance(event, Warned) for event in events) == 3
    assert any(isinstance(event, StepCompleted) and event.step == event.steps for event in events)
    assert list(rows(index)) == ["whole.png"]


def test_only_what_changed_is_read_again(
    write_picture: WritePicture, run_indexing: Run, index: PictureIndex
) -> None:
    write_picture("a.png", SAILOR)
    path = write_picture("below/b.png", FOX)
    assert run_indexing().added == 2
    again = run_indexing()
    assert (again.added, again.unchanged) == (0, 2)
    write_picture("below/b.png", BEETLE)
    os.utime(path, (1e9, 1e9))
    assert run_indexing().unchanged == 1
    assert rows(index)["b.png"].prompt.startswith("ein Käfer")


def test_files_that_are_gone_are_missing_until_they_come_back(
    write_picture: WritePicture, run_indexing: Run, index: PictureIndex, output: Path
) -> None:
    path = write_picture("a.png", SAILOR)
    run_indexing()
    index.change([picture_id(path)], favourite=True)
    path.rename(output / "kept elsewhere.bin")
    assert run_indexing().missing == 1
    assert rows(index) == {}
    assert list(rows(index, q="is:missing")) == ["a.png"]
    (output / "kept elsewhere.bin").rename(path)
    run_indexing()
    assert rows(index)["a.png"].favourite


def test_a_favourite_that_was_moved_stays_one(
    write_picture: WritePicture, run_indexing: Run, index: PictureIndex, output: Path
) -> None:
    path = write_picture("a.png", SAILOR)
    run_indexing()
    index.change([picture_id(path)], favourite=True)
    (output / "best").mkdir()
    path.rename(output / "best" / "a.png")
    run_indexing()
    assert rows(index)["a.png"].favourite
    assert rows(index)["a.png"].folder == str(output / "best")


def test_a_folder_that_is_not_there_now_loses_nothing(
    write_picture: WritePicture, run_indexing: Run, index: PictureIndex, output: Path
) -> None:
    write_picture("a.png", SAILOR)
    run_indexing()
    output.rename(output.with_name("unplugged"))
    assert run_indexing().missing == 0
    assert list(rows(index)) == ["a.png"]


def test_links_and_hidden_files_are_not_followed(
    write_picture: WritePicture, run_indexing: Run, index: PictureIndex, tmp_path: Path, output: Path
) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    Image.new("RGB", (8, 8)).save(secret / "s.png")
    (output / "link.png").symlink_to(secret / "s.png")
    (output / "linked").symlink_to(secret)
    write_picture(".hidden.png")
    write_picture(".cache/c.png")
    write_picture("seen.png")
    run_indexing()
    assert list(rows(index)) == ["seen.png"]


def test_a_folder_that_is_none_of_the_gallery_is_refused(run_indexing: Run, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no folder of the gallery"):
        run_indexing(tmp_path)


def test_cancelling_keeps_what_was_found(write_picture: WritePicture, run_indexing: Run) -> None:
    for number in range(3):
        write_picture(f"{number}.png")
    cancel = CancelToken()
    cancel.cancel()
    with pytest.raises(Cancelled):
        run_indexing(cancel=cancel)
    assert run_indexing().added == 3


def test_the_task_can_be_queued(studio: Studio) -> None:
    entry = studio.registries.tasks.get("index_pictures")
    assert entry.info.lane == "background"
    assert entry.info.request == "sfumato_gallery.records:IndexRequest"
