"""Pictures made from pictures, and by several models: drawn again, with all that they were made of."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from sfumato.errors import SfumatoError
from sfumato.replay import CannotReplay
from sfumato_engine.replay.comparison import compare_stories
from sfumato_engine.replay.story import StoredAdapter, Story

from ..start.pictures import left_and_right, mask, plain
from .conftest import ReplayBench, rewritten, story_of


@pytest.fixture
def made_from(bench: ReplayBench) -> dict[str, Any]:
    """Fields of a request that starts from a picture and a mask."""
    picture = left_and_right(bench.folder / "inputs" / "start.png")
    spot = mask(bench.folder / "inputs" / "mask.png", (8, 8, 32, 32))
    return {
        "img2img": {"image": picture, "denoising_strength": 0.6},
        "inpaint": {"mask": spot, "soft": {}, "blur": 8},
    }


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> None:
    (tmp_path / "inputs").mkdir()


def test_a_picture_made_from_others_is_drawn_again_to_the_bit(bench: ReplayBench, made_from: dict) -> None:
    report = bench.replay(bench.draw(steps=6, **made_from))
    assert (report.verdict, report.largest_difference) == ("same", 0)
    assert report.differences == ()


@pytest.mark.parametrize(
    "fields",
    [
        {"hires": {"model": "other", "sampler": "euler_a"}},
        {"refiner": {"model": "other", "switch_at": 0.5}},
        {"hires": {"model": "other", "upscaler": "lanczos"}, "refiner": {"model": "third"}},
        {"img2img": {"denoising_strength": 0.5}, "outpaint": {"left": 10, "blur": 2}},
        {"prompt": "a cat AND the sky", "regions": 2},
    ],
)
def test_every_kind_of_picture_is_drawn_again_to_the_bit(bench: ReplayBench, fields: dict) -> None:
    bench.add_model("other", b"other weights")
    bench.add_model("third", b"third weights")
    if "img2img" in fields:
        fields = {
            **fields,
            "img2img": {**fields["img2img"], "image": plain(bench.folder / "a.png", (50, 40))},
        }
    if "regions" in fields:
        names = [bench.folder / f"{number}.png" for number in range(fields["regions"])]
        fields = {**fields, "regions": tuple(mask(path, (0, 0, 16, 32)) for path in names)}
    report = bench.replay(bench.draw(**fields))
    assert (report.verdict, report.largest_difference, report.differences) == ("same", 0, ())


def test_models_of_further_passes_are_found_by_their_hashes(bench: ReplayBench) -> None:
    other = bench.add_model("other", b"other weights")
    third = bench.add_model("third", b"third weights")
    picture = bench.draw(hires={"model": "other"}, refiner={"model": "third"})
    other.rename(bench.models / "renamed.safetensors")
    third.rename(bench.models / "other.safetensors")
    request = bench.replay(picture).record.request
    assert request.hires is not None
    assert request.refiner is not None
    assert (request.hires.model, request.refiner.model) == ("renamed", "other")


def test_a_model_of_a_further_pass_that_changed_is_told(bench: ReplayBench) -> None:
    bench.add_model("other", b"other weights")
    picture = bench.draw(hires={"model": "other"})
    bench.add_model("other", b"changed since")
    assert [difference.what for difference in bench.replay(picture).differences] == ["model 'other' file"]


def test_inputs_that_moved_along_with_the_picture_are_found(bench: ReplayBench, made_from: dict) -> None:
    picture = bench.draw(**made_from)
    new = bench.folder / "new"
    shutil.move(bench.folder / "inputs", new)
    moved = Path(shutil.copy(picture, new))
    assert bench.replay(moved).verdict == "same"


def test_inputs_named_from_another_folder_are_found(
    bench: ReplayBench, made_from: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(bench.folder / "inputs")
    picture = bench.draw(img2img={"image": "start.png"}, inpaint={"mask": "mask.png"})
    monkeypatch.chdir(bench.folder)
    assert bench.replay(picture).verdict == "same"


def test_an_input_that_changed_is_told(bench: ReplayBench, made_from: dict) -> None:
    picture = bench.draw(**made_from)
    plain(made_from["img2img"]["image"], (32, 32))
    assert [difference.what for difference in bench.replay(picture).differences] == ["img2img.image file"]


def test_an_input_that_is_gone_is_named_with_what_to_give(bench: ReplayBench, made_from: dict) -> None:
    picture = bench.draw(**made_from)
    spot = made_from["inpaint"]["mask"].rename(bench.folder / "elsewhere.png")
    with pytest.raises(
        CannotReplay, match=r"'mask\.png', which the picture was made from, is not here"
    ) as caught:
        bench.replay(picture)
    assert caught.value.hint.endswith("--set inpaint.mask=PATH")
    assert bench.replay(picture, **{"inpaint.mask": spot}).record.request.inpaint is not None


def test_an_adapter_that_changed_is_told(bench: ReplayBench) -> None:
    now = Story.model_validate(story_of(bench.draw()))
    files = [StoredAdapter(name="blue", file="blue.safetensors", sha256=digit * 64) for digit in "ab"]
    stories = [now.model_copy(update={"adapters": (file,)}) for file in files]
    assert [difference.what for difference in compare_stories(*stories)] == ["adapter blue file"]
    assert compare_stories(stories[0], stories[0]) == []


@pytest.mark.parametrize("path", ["/dev/zero", "//server/share/a.png", "..", "", "\0", "a\n" * 9, "~root"])
def test_hostile_paths_of_inputs_lead_nowhere(bench: ReplayBench, made_from: dict, path: str) -> None:
    def elsewhere(story: dict) -> None:
        story["request"]["img2img"]["image"] = path
        story["inputs"] = {}

    with pytest.raises(SfumatoError, match="is not here"):
        bench.replay(rewritten(bench.draw(**made_from), elsewhere))
