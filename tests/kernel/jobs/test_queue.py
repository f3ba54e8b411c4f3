"""The queue as clients use it, on SQLite and on PostgreSQL."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sfumato.database import Database
from sfumato.errors import BadInput, UnknownName
from sfumato.events import ImageSaved, ImageSaving, StepCompleted
from sfumato.jobs import Job
from sfumato.jobs.claiming import claim
from sfumato.jobs.queue import JobQueue, Submission
from sfumato.jobs.recording import Recorder
from sfumato.jobs.recovery import Cause, orphans_of_place, recover
from sfumato.records import ImageRecord
from sfumato.request import GenerationRequest

from .conftest import NewStudio


@pytest.fixture
def queue(database: Database, new_studio: NewStudio) -> Iterator[JobQueue]:
    queue = JobQueue(database, new_studio().registries)
    yield queue
    queue.close()


def begin(queue: JobQueue, lane: str = "device") -> Recorder:
    """Take the next job as a worker does."""
    with queue.store.writing() as connection:
        row = claim(connection, lane, "worker", "")
    assert row is not None
    queue.changed()
    return Recorder(queue.store, row, queue.changed)


def crash(queue: JobQueue, attempts: int = 3) -> None:
    with queue.store.writing() as connection:
        for row in orphans_of_place(connection, "device", ""):
            recover(connection, row, Cause("It was killed.", ["a line"]), attempts)
    queue.changed()


def run_order(queue: JobQueue) -> list[str]:
    order = []
    while queue.waiting():
        recorder = begin(queue)
        order.append(recorder._job.label)
        recorder.finish("done")
    return order


def record(path: Path) -> ImageRecord:
    return ImageRecord(path=path, seed=1, width=1, height=1, infotext="", request=GenerationRequest())


def draw(queue: JobQueue, label: str = "", **fields: object) -> Job:
    return queue.submit("draw", {"name": label or "one"}, label=label, **fields)


def test_a_submitted_job_waits_with_its_request(queue: JobQueue) -> None:
    job = queue.submit("Draw", {"name": "apple", "pictures": 2})
    assert (job.kind, job.state, job.user, job.lane, job.attempt) == ("draw", "queued", "local", "device", 0)
    assert job.request == {"name": "apple", "pictures": 2}
    assert queue.get(job.id) == job
    assert queue.waiting() == [job]


def test_of_a_prompt_the_job_has_its_label(queue: JobQueue) -> None:
    job = queue.submit("generate", GenerationRequest(prompt="a red\napple\0"))
    assert job.label == "a red apple"


def test_open_seeds_are_drawn_when_a_job_is_submitted(queue: JobQueue) -> None:
    seeds = {queue.submit("generate", {"prompt": "apple"}).request["seed"] for _ in range(4)}
    assert len(seeds) == 4
    assert all(0 <= seed < 2**32 for seed in seeds)


def test_a_given_seed_stays(queue: JobQueue) -> None:
    fields = {"prompt": "apple", "seed": 7, "variation_strength": 0.1, "variation_seed": 8}
    assert queue.submit("generate", fields).request == fields


def test_a_variation_seed_is_drawn_where_it_is_used(queue: JobQueue) -> None:
    assert "variation_seed" not in queue.submit("generate", {"prompt": "apple"}).request
    varied = queue.submit("generate", {"prompt": "apple", "variation_strength": 0.5})
    assert varied.request["variation_seed"] >= 0


def test_the_pictures_of_a_grid_share_a_seed_that_is_drawn_once(queue: JobQueue) -> None:
    axis = {"field": "steps", "values": ["1", "2"]}
    same = queue.submit("grid", {"base": {"prompt": "apple"}, "x": axis})
    random = queue.submit("grid", {"base": {"prompt": "apple"}, "x": axis, "seeds": "random"})
    assert same.request["base"]["seed"] >= 0
    assert "seed" not in random.request["base"]


@pytest.mark.parametrize(
    ("kind", "request_fields"),
    [("draw", {"pictures": "many"}), ("draw", {"colour": 1}), ("daub", {}), ("secret", {})],
)
def test_what_cannot_be_is_refused_at_once(queue: JobQueue, kind: str, request_fields: dict) -> None:
    with pytest.raises(BadInput):
        queue.submit(kind, request_fields)
    assert queue.list() == []


def test_of_many_submissions_all_are_queued_or_none(queue: JobQueue) -> None:
    with pytest.raises(BadInput):
        queue.submit_all([Submission("draw", {}), Submission("draw", {"pictures": "many"})])
    assert queue.list() == []
    jobs = queue.submit_all([Submission("draw", {"name": str(number)}) for number in range(600)])
    assert [job.request["name"] for job in jobs] == [str(number) for number in range(600)]
    assert [job.id for job in queue.waiting()] == [job.id for job in jobs]


def test_a_key_that_was_used_gives_back_its_job(queue: JobQueue) -> None:
    first = draw(queue, "a", key="k")
    assert draw(queue, "b", key="k") == first
    assert draw(queue, "c", key="k", user="ann").id != first.id
    twice = queue.submit_all([Submission("draw", {}, key="n"), Submission("draw", {}, key="n")])
    assert twice[0] == twice[1]


def test_two_threads_with_one_key_make_one_job(queue: JobQueue) -> None:
    ids: list[str] = []
    threads = [threading.Thread(target=lambda: ids.append(draw(queue, key="k").id)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ids) == 8
    assert len(set(ids)) == 1


def test_users_take_turns(queue: JobQueue) -> None:
    for label in ("a1", "a2", "a3", "b1", "b2", "c1"):
        draw(queue, label, user=label[0])
    foreseen = [job.label for job in queue.waiting()]
    assert run_order(queue) == ["a1", "b1", "c1", "a2", "b2", "a3"] == foreseen


def test_the_user_who_waited_longest_is_next(queue: JobQueue) -> None:
    draw(queue, "a1", user="a")
    run_order(queue)
    for label in ("a2", "b1"):
        draw(queue, label, user=label[0])
    assert run_order(queue) == ["b1", "a2"]


def test_priority_goes_before_turns(queue: JobQueue) -> None:
    draw(queue, "a1", user="a")
    draw(queue, "b1", user="b")
    draw(queue, "a2", user="a", priority=1)
    hurried = draw(queue, "a3", user="a")
    queue.set_priority(hurried.id, 2)
    assert [job.label for job in queue.waiting()] == ["a3", "a2", "b1", "a1"]
    assert run_order(queue) == ["a3", "a2", "b1", "a1"]


def test_jobs_are_moved_within_their_users_line(queue: JobQueue) -> None:
    jobs = {label: draw(queue, label) for label in "abcd"}
    queue.move(jobs["d"].id, before=jobs["b"].id)
    queue.move(jobs["a"].id)
    assert [job.label for job in queue.waiting()] == ["d", "b", "c", "a"]


def test_a_moved_job_takes_the_others_priority(queue: JobQueue) -> None:
    slow, quick = draw(queue, "slow"), draw(queue, "quick", priority=5)
    assert queue.move(slow.id, before=quick.id).priority == 5
    assert run_order(queue) == ["slow", "quick"]


def test_only_queued_jobs_of_one_user_are_moved(queue: JobQueue) -> None:
    first, second, other = draw(queue), draw(queue), draw(queue, user="ann")
    queue.cancel(first.id)
    for moved, before in ((first, second), (second, first), (second, other)):
        with pytest.raises(BadInput):
            queue.move(moved.id, before=before.id)
    with pytest.raises(UnknownName):
        queue.move(second.id, before="nobody")


def test_a_queued_job_is_cancelled_at_once(queue: JobQueue) -> None:
    job = queue.cancel(draw(queue).id)
    assert job.state == "cancelled"
    assert job.ended is not None
    assert queue.waiting() == []
    assert queue.cancel(job.id) == job


def test_all_jobs_of_a_user_are_cancelled(queue: JobQueue) -> None:
    mine, other = draw(queue), draw(queue, user="ann")
    assert queue.cancel_all(user="local") == 1
    assert [queue.get(job.id).state for job in (mine, other)] == ["cancelled", "queued"]


def test_what_a_job_saved_is_known_as_soon_as_it_is_there(queue: JobQueue, tmp_path: Path) -> None:
    job = draw(queue)
    recorder = begin(queue)
    recorder(ImageSaving(image=record(tmp_path / "a.png")))
    assert queue.get(job.id).images == ()
    recorder(ImageSaved(image=record(tmp_path / "a.png")))
    assert [image.path.name for image in queue.get(job.id).images] == ["a.png"]


def test_after_a_crash_a_picture_counts_if_it_had_appeared(queue: JobQueue, tmp_path: Path) -> None:
    job = draw(queue)
    recorder = begin(queue)
    for name in ("there.png", "not_there.png"):
        recorder(ImageSaving(image=record(tmp_path / name)))
    (tmp_path / "there.png").write_bytes(b"a picture")
    crash(queue)
    again = queue.get(job.id)
    assert (again.state, again.attempt) == ("queued", 1)
    assert [image.path.name for image in again.images] == ["there.png"]


def test_a_job_that_was_cut_short_goes_first_again(queue: JobQueue) -> None:
    draw(queue, "a1", user="a")
    draw(queue, "a2", user="a")
    begin(queue)
    crash(queue)
    assert run_order(queue) == ["a1", "a2"]


def test_a_job_that_was_cut_short_too_often_is_given_up(queue: JobQueue) -> None:
    job = draw(queue)
    for _ in range(2):
        begin(queue)
        crash(queue, attempts=2)
    over = queue.get(job.id)
    assert over.state == "interrupted"
    assert over.problem is not None
    assert over.problem.why == "It was killed."
    assert over.problem.log == ("a line",)


def test_a_job_that_was_to_be_cancelled_is_so_after_a_crash(queue: JobQueue) -> None:
    job = draw(queue)
    begin(queue)
    assert queue.cancel(job.id).state == "running"
    crash(queue)
    assert queue.get(job.id).state == "cancelled"


def test_a_worker_that_lost_its_job_writes_nothing_more(queue: JobQueue, tmp_path: Path) -> None:
    job = draw(queue)
    lost = begin(queue)
    crash(queue)
    lost.finish("done", result={"stale": True})
    assert queue.get(job.id).state == "queued"


def test_a_job_is_tried_again_at_the_end_with_what_it_had_saved(queue: JobQueue, tmp_path: Path) -> None:
    job, other = draw(queue, "first"), draw(queue, "second")
    recorder = begin(queue)
    recorder(ImageSaved(image=record(tmp_path / "a.png")))
    recorder.finish("failed", problem={"what": "It failed."})
    assert queue.get(job.id).problem is not None
    again = queue.retry(job.id)
    assert (again.state, again.attempt, again.problem, len(again.images)) == ("queued", 0, None, 1)
    assert [waiting.id for waiting in queue.waiting()] == [other.id, job.id]


def test_only_jobs_that_went_wrong_are_tried_again(queue: JobQueue) -> None:
    job = draw(queue)
    with pytest.raises(BadInput):
        queue.retry(job.id)
    begin(queue).finish("done")
    with pytest.raises(BadInput):
        queue.retry(job.id)


def test_a_job_that_is_over_can_be_forgotten(queue: JobQueue) -> None:
    job = draw(queue, key="k")
    with pytest.raises(BadInput):
        queue.remove(job.id)
    queue.cancel(job.id)
    queue.remove(job.id)
    with pytest.raises(UnknownName):
        queue.get(job.id)
    assert [event.kind for event in queue.events()] == ["job_removed"]
    assert draw(queue, key="k").number > job.number


def test_jobs_are_listed_newest_first_page_by_page(queue: JobQueue) -> None:
    for label in "abcde":
        draw(queue, label, user="ann" if label == "b" else "local")
    page = queue.list(limit=2, user="local")
    rest = queue.list(before=page[-1].number, user="local")
    assert [job.label for job in [*page, *rest]] == ["e", "d", "c", "a"]
    queue.cancel(page[0].id)
    assert [job.label for job in queue.list(states={"cancelled"})] == ["e"]
    assert queue.list(kind="sort") == []


def test_events_are_kept_in_order(queue: JobQueue) -> None:
    job, other = draw(queue), draw(queue)
    recorder = begin(queue)
    recorder(StepCompleted(step=1, steps=4, batches=2))
    recorder.flush()
    recorder.finish("done")
    kinds = [(event.kind, event.data.get("state")) for event in queue.events(job=job.id)]
    expected = ["queued", "running", None, "done"]
    assert [state for _, state in kinds] == expected
    everything = queue.events()
    assert [event.seq for event in everything] == sorted(event.seq for event in everything)
    assert queue.events(after=everything[1].seq, limit=1) == [everything[2]]
    assert queue.last_event() == everything[-1].seq
    assert {event.job for event in everything} == {job.id, other.id}


def test_progress_counts_over_all_batches(queue: JobQueue) -> None:
    job = draw(queue)
    recorder = begin(queue)
    recorder(StepCompleted(step=2, steps=4, batch=1, batches=2, preview=(b"png", b"other")))
    recorder.flush()
    progress = queue.get(job.id).progress
    assert progress is not None
    assert (progress.fraction, progress.preview) == (0.75, 1)
    preview = queue.preview(job.id)
    assert preview is not None
    assert (preview.number, preview.pictures) == (1, (b"png", b"other"))
    recorder.finish("done")
    assert queue.preview(job.id) is None


def test_a_follower_gets_what_was_and_what_comes_up_to_the_end(queue: JobQueue) -> None:
    job = draw(queue)
    followed: list[str] = []
    follower = queue.follow(job=job.id, after=0, heartbeat=30)
    thread = threading.Thread(target=lambda: followed.extend(event.kind for event in follower if event))
    thread.start()
    recorder = begin(queue)
    for step in range(3):
        recorder(StepCompleted(step=step + 1, steps=3))
        recorder.flush()
    draw(queue, "another")
    recorder.finish("done")
    thread.join(20)
    assert followed == ["job_changed", "job_changed", *["step_completed"] * 3, "job_changed"]


def test_a_follower_of_a_job_that_was_tried_again_goes_to_its_last_end(queue: JobQueue) -> None:
    job = draw(queue)
    begin(queue).finish("failed")
    queue.retry(job.id)
    begin(queue).finish("done")
    states = [event.data["state"] for event in queue.follow(job=job.id, after=0) if event]
    assert states == ["queued", "running", "failed", "queued", "running", "done"]
    assert list(queue.follow(job=job.id)) == []


def test_following_goes_on_where_it_was_left(queue: JobQueue) -> None:
    jobs = [draw(queue, str(number)) for number in range(3)]
    with queue.follow(after=0) as follower:
        first = next(follower)
    draw(queue, "later")
    assert first is not None
    with queue.follow(after=first.seq, heartbeat=0.5) as follower:
        rest = list(iter(lambda: next(follower), None))
    assert [event.job for event in rest][:2] == [jobs[1].id, jobs[2].id]
    assert len(rest) == 3


def test_a_follower_from_now_on_gets_nothing_of_before(queue: JobQueue) -> None:
    draw(queue)
    with queue.follow(heartbeat=0.01) as follower:
        assert next(follower) is None
        later = draw(queue)
        assert next(event for event in follower if event).job == later.id


def test_a_follower_who_is_slow_misses_nothing(queue: JobQueue) -> None:
    with queue.follow(after=0, heartbeat=5) as follower:
        jobs = queue.submit_all([Submission("draw", {}) for _ in range(2500)])
        followed = [event.job for _, event in zip(range(2500), follower, strict=False) if event]
    assert followed == [job.id for job in jobs]


def test_changes_of_another_process_are_seen(queue: JobQueue, database: Database) -> None:
    job = draw(queue)
    assert queue.get(job.id).state == "queued"
    elsewhere = JobQueue(Database(database.url), queue._registries)
    timer = threading.Timer(0.2, elsewhere.cancel, [job.id])
    timer.start()
    assert queue.wait(job.id, 20).state == "cancelled"
    timer.join()
    elsewhere._database.close()


def test_waiting_ends_when_patience_does(queue: JobQueue) -> None:
    job = draw(queue)
    assert queue.wait(job.id, 0.01) == job


def test_what_is_known_in_memory_is_never_older_than_what_this_process_wrote(queue: JobQueue) -> None:
    job = draw(queue)
    for priority in range(30):
        queue.set_priority(job.id, priority)
        assert queue.get(job.id).priority == priority


def test_old_jobs_are_forgotten_with_their_events(queue: JobQueue) -> None:
    from sfumato.jobs.changes import forget_before

    old, young, waiting = draw(queue), draw(queue), draw(queue)
    queue.cancel(old.id)
    time.sleep(0.02)
    moment = time.time()
    queue.cancel(young.id)
    with queue.store.writing() as connection:
        assert forget_before(connection, moment) == 1
    assert {job.id for job in queue.list()} == {young.id, waiting.id}
    assert {event.job for event in queue.events()} == {young.id, waiting.id}


def test_a_job_that_is_not_there_is_unknown(queue: JobQueue) -> None:
    for method in (queue.get, queue.cancel, queue.retry, queue.remove, queue.preview, queue.wait):
        with pytest.raises(UnknownName):
            method("nobody")
    with pytest.raises(UnknownName):
        queue.follow(job="nobody")
    with pytest.raises(UnknownName):
        queue.events(job="nobody")


def test_importing_jobs_does_not_import_the_database_library() -> None:
    code = "import sys, sfumato.studio, sfumato.jobs.queue, sfumato.jobs.supervisor, sfumato.jobs.keeper\n"
    code += "print('sqlalchemy' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"
