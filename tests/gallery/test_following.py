from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sfumato import Studio
from sfumato.jobs.records import JobEvent
from sfumato.request import GenerationRequest
from sfumato_gallery.filters import Filters
from sfumato_gallery.following import SEEN, Follower
from sfumato_gallery.index import PictureIndex

from ..infotexts import FOX
from .conftest import WritePicture


def saved(path: Path, seq: int, job: str) -> JobEvent:
    image: dict[str, Any] = {
        "path": str(path), "seed": 3319, "width": 40, "height": 30, "infotext": FOX,
        "request": GenerationRequest(prompt="fox").model_dump(mode="json"),
    }  # fmt: skip
    return JobEvent(seq=seq, job=job, at=datetime.now(UTC), kind="image_saved", data={"image": image})


@pytest.fixture
def follower(studio: Studio, index: PictureIndex, output: Path) -> Follower:
    return Follower(studio.jobs, index, (output,))


def test_what_a_job_saved_is_found_at_once_and_only_once(
    follower: Follower, index: PictureIndex, write_picture: WritePicture
) -> None:
    event = saved(write_picture("a.png", FOX), 5, "some job")
    follower._take([event])
    follower._take([event])
    (row,) = index.find(Filters(q="fox lora:inkwash"))
    assert (row.job, row.seed, row.width) == ("some job", 3319, 40)
    assert index.state(SEEN) == "5"


def test_pictures_elsewhere_and_records_of_another_kind_are_left_out(
    follower: Follower, index: PictureIndex, write_picture: WritePicture, tmp_path: Path
) -> None:
    elsewhere = saved(tmp_path / "other.png", 1, "a")
    deleted = saved(write_picture("a.png").with_name("gone.png"), 2, "a")
    strange = JobEvent(seq=3, job="a", at=datetime.now(UTC), kind="image_saved", data={"picture": 1})
    follower._take([elsewhere, deleted, strange])
    assert index.find(Filters()) == []
    assert index.state(SEEN) == "3"


def test_a_file_read_again_still_belongs_to_its_job(
    follower: Follower, index: PictureIndex, write_picture: WritePicture, studio: Studio
) -> None:
    from sfumato_gallery.facts import read_facts

    path = write_picture("a.png", FOX)
    follower._take([saved(path, 1, "some job")])
    index.put([read_facts(path)])
    (row,) = index.find(Filters(job="some job"))
    assert row.prompt.startswith("fox")


def test_a_queue_without_events_leaves_the_index_as_it_is(follower: Follower, index: PictureIndex) -> None:
    assert follower.catch_up() == 0
    assert index.find(Filters()) == []
