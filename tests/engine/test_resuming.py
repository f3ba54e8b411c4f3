"""Work that was cut short goes on where it was; work that is to end early keeps what it has."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sfumato import Studio
from sfumato.events import CancelToken, Event, ImageSaved, ImageSaving, StepCompleted, WorkMeasured
from sfumato.request import GenerationRequest, HiresPass


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path)).astype(int)


def request(**fields: object) -> GenerationRequest:
    asked = {"prompt": "a red apple", "seed": 5, "steps": 3, "width": 64, "height": 64}
    return GenerationRequest.model_validate(asked | fields)


@pytest.fixture(scope="module")
def studio() -> Studio:
    return Studio()


@pytest.mark.parametrize("finished", [1, 2, 3, 5])
def test_pictures_of_an_earlier_attempt_are_not_made_again(
    studio: Studio, tmp_path: Path, finished: int
) -> None:
    asked = request(batch_size=2, count=3)
    whole = studio.generate(asked, output_folder=tmp_path / "whole").images
    events: list[Event] = []
    resumed = studio.run(
        "generate",
        asked,
        output_folder=tmp_path / "rest",
        on_event=events.append,
        finished=whole[:finished],
    ).images
    assert resumed[:finished] == whole[:finished]
    assert [image.seed for image in resumed] == [5, 6, 7, 8, 9, 10]
    assert len(list((tmp_path / "rest").glob("*.png"))) == 6 - finished
    assert sum(isinstance(event, ImageSaved) for event in events) == 6 - finished
    for ours, theirs in zip(resumed, whole, strict=True):
        assert np.abs(pixels(ours.path) - pixels(theirs.path)).max() <= 1


def test_an_attempt_that_was_cut_short_at_its_very_end_has_nothing_left_to_do(
    studio: Studio, tmp_path: Path
) -> None:
    asked = request(count=2)
    whole = studio.generate(asked, output_folder=tmp_path).images
    events: list[Event] = []
    result = studio.run("generate", asked, output_folder=tmp_path, on_event=events.append, finished=whole)
    assert result.images == whole
    assert not events


def test_a_picture_is_announced_before_it_is_there(studio: Studio, tmp_path: Path) -> None:
    seen: list[tuple[str, bool, Path]] = []

    def listen(event: Event) -> None:
        if isinstance(event, (ImageSaving, ImageSaved)):
            seen.append((event.kind, event.image.path.exists(), event.image.path))

    (image,) = studio.generate(request(), output_folder=tmp_path, on_event=listen).images
    assert seen == [("image_saving", False, image.path), ("image_saved", True, image.path)]


def ending_at(step: int, how: str, cancel: CancelToken) -> Callable[[Event], None]:
    def listen(event: Event) -> None:
        if isinstance(event, StepCompleted) and (event.batch, event.step) == (0, step):
            cancel.ending = how  # type: ignore[assignment]

    return listen


def test_an_interrupted_request_keeps_what_it_was_sampling_and_begins_nothing_more(
    studio: Studio, tmp_path: Path
) -> None:
    cancel, steps = CancelToken(), []
    end = ending_at(4, "interrupt", cancel)

    def listen(event: Event) -> None:
        end(event)
        if isinstance(event, StepCompleted):
            steps.append(event.step)

    asked = request(steps=12, count=3)
    (image,) = studio.generate(asked, output_folder=tmp_path, cancel=cancel, on_event=listen).images
    assert steps == [1, 2, 3, 4]
    finished = studio.generate(request(steps=12), output_folder=tmp_path).images[0]
    assert (pixels(image.path) != pixels(finished.path)).any()
    assert pixels(image.path).std() > 5  # a picture, not one colour


def test_skipping_ends_one_batch_and_the_next_ones_are_whole(studio: Studio, tmp_path: Path) -> None:
    cancel = CancelToken()
    listen = ending_at(2, "skip", cancel)
    asked = request(steps=6, count=2)
    first, second = studio.generate(asked, output_folder=tmp_path, cancel=cancel, on_event=listen).images
    alone = studio.generate(request(steps=6, seed=6), output_folder=tmp_path).images[0]
    assert (first.seed, second.seed) == (5, 6)
    assert np.abs(pixels(second.path) - pixels(alone.path)).max() <= 1


def test_the_hires_pass_is_left_out_once_work_is_to_end(studio: Studio, tmp_path: Path) -> None:
    cancel = CancelToken()
    asked = request(hires=HiresPass(scale=2, upscaler="lanczos"))
    listen = ending_at(2, "interrupt", cancel)
    (image,) = studio.generate(asked, output_folder=tmp_path, cancel=cancel, on_event=listen).images
    assert (image.width, image.height) == (64, 64)


def test_what_was_done_in_part_is_not_measured_as_the_whole(studio: Studio, tmp_path: Path) -> None:
    def measured(asked: GenerationRequest, end: str = "", **given: object) -> int:
        cancel, events = CancelToken(), list[Event]()
        ending = ending_at(2, end, cancel)

        def listen(event: Event) -> None:
            ending(event)
            events.append(event)

        studio.run("generate", asked, output_folder=tmp_path, cancel=cancel, on_event=listen, **given)  # type: ignore[arg-type]
        return sum(isinstance(event, WorkMeasured) for event in events)

    asked = request(count=2)
    whole = studio.generate(asked, output_folder=tmp_path).images
    assert measured(asked) == 1
    assert measured(asked, finished=whole[:1]) == 0
    assert [measured(asked, "skip"), measured(asked, "interrupt")] == [0, 0]
