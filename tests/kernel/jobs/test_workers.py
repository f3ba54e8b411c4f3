"""Work in worker processes: done, cancelled, gone wrong, died of, and handed from server to server."""

from __future__ import annotations

import itertools
import os
import signal
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from sfumato.events import ImageSaved, StepCompleted
from sfumato.jobs import Job
from sfumato.jobs.claiming import claim
from sfumato.jobs.keeper import WAITS
from sfumato.jobs.recording import Recorder
from sfumato.records import ImageRecord
from sfumato.request import GenerationRequest
from sfumato.studio import Studio

from .conftest import NewStudio

posix = pytest.mark.skipif(os.name != "posix", reason="needs signals")
PATIENCE = 60.0


def begin(studio: Studio, kind: str = "draw", **fields: object) -> Job:
    job = studio.jobs.submit(kind, fields)
    studio.workers.start()
    return job


def over(studio: Studio, job: Job) -> Job:
    ended = studio.jobs.wait(job.id, PATIENCE)
    assert ended.is_over
    return ended


def until(true: Callable[[], object]) -> None:
    give_up = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < give_up
        time.sleep(0.01)


def is_running(studio: Studio, job: Job) -> bool:
    """Whether the work itself has begun."""
    return any(event.kind == "phase_started" for event in studio.jobs.events(job=job.id))


def is_sampling(studio: Studio, job: Job, batch: int) -> bool:
    progress = studio.jobs.get(job.id).progress
    return progress is not None and progress.batch == batch and progress.step > 0


def test_a_job_is_done_in_another_process(studio: Studio) -> None:
    job = over(studio, begin(studio, pictures=2, how="warn"))
    assert job.state == "done"
    assert job.result is not None
    assert job.result["pid"] != os.getpid()
    assert [image.path.exists() for image in job.images] == [True, True]
    assert job.warnings == ("The paint is nearly dry.",)
    assert job.progress is not None
    assert job.progress.fraction == 1


def test_work_in_the_background_goes_on_beside_the_device(studio: Studio, tmp_path: Path) -> None:
    waits = begin(studio, how=f"wait {tmp_path / 'go'}")
    beside = over(studio, studio.jobs.submit("sort", {}))
    assert (beside.state, beside.lane) == ("done", "background")
    assert not studio.jobs.get(waits.id).is_over
    (tmp_path / "go").touch()
    assert over(studio, waits).state == "done"


def test_previews_come_while_the_work_goes_on(studio: Studio) -> None:
    job = begin(studio, how="previews", steps=1000, seconds=0.01)
    until(lambda: studio.jobs.preview(job.id))
    first = studio.jobs.preview(job.id)
    assert first is not None
    assert first.pictures == (f"0.{first.number - 1}".encode(),)
    studio.jobs.cancel(job.id)
    assert over(studio, job).state == "cancelled"


def test_a_running_job_is_cancelled_between_steps_and_keeps_its_pictures(studio: Studio) -> None:
    job = begin(studio, pictures=1000, seconds=0.01)
    until(lambda: studio.jobs.get(job.id).images)
    studio.jobs.cancel(job.id)
    cancelled = over(studio, job)
    assert cancelled.state == "cancelled"
    assert 0 < len(cancelled.images) < 1000


def test_a_running_job_ends_early_with_what_it_has(studio: Studio) -> None:
    job = begin(studio, pictures=3, steps=1000, seconds=0.01)
    until(lambda: is_running(studio, job))
    studio.jobs.end_early(job.id, "interrupt")
    ended = over(studio, job)
    assert (ended.state, len(ended.images)) == ("done", 1)


def test_skipping_goes_on_with_the_next_batch(studio: Studio) -> None:
    job = begin(studio, pictures=2, steps=1000, seconds=0.01)
    for batch in (0, 1):
        until(lambda batch=batch: is_sampling(studio, job, batch))
        studio.jobs.end_early(job.id, "skip")
        until(lambda batch=batch: len(studio.jobs.get(job.id).images) > batch)
    assert over(studio, job).state == "done"


def test_cancelling_what_is_just_over_leaves_it_as_it_is(studio: Studio) -> None:
    for _ in range(20):
        job = begin(studio, steps=1)
        time.sleep(0.002)
        studio.jobs.cancel(job.id)
        ended = over(studio, job)
        assert ended.state in ("done", "cancelled")
        assert ended.state == "cancelled" or ended.images
        assert studio.jobs.cancel(job.id).state == ended.state


@pytest.mark.parametrize(
    ("how", "error", "what"),
    [("fail", "ValueError", "The work failed."), ("refuse", "BadInput", "There is no such colour.")],
)
def test_work_that_goes_wrong_says_why_and_the_next_goes_on(
    studio: Studio, how: str, error: str, what: str
) -> None:
    failed, good = over(studio, begin(studio, how=how)), over(studio, begin(studio))
    assert (failed.state, good.state) == ("failed", "done")
    assert failed.problem is not None
    assert (failed.problem.error, failed.problem.what) == (error, what)
    assert failed.attempt == 1


def test_a_job_that_kills_its_worker_each_time_is_given_up(
    new_studio: NewStudio,
) -> None:
    studio = new_studio(jobs_attempts="2")
    poison, good = begin(studio, how="exit 3"), begin(studio)
    ended = over(studio, poison)
    assert (ended.state, ended.attempt) == ("interrupted", 2)
    assert ended.problem is not None
    assert "exit code 3" in ended.problem.why
    assert over(studio, good).state == "done"
    assert studio.workers.states()[0].restarts == 2


def test_leaving_without_a_word_is_dying_too(new_studio: NewStudio) -> None:
    studio = new_studio(jobs_attempts="1")
    assert over(studio, begin(studio, how="exit 0")).state == "interrupted"


@posix
def test_a_crash_in_c_leaves_its_traceback_with_the_job(new_studio: NewStudio) -> None:
    studio = new_studio(jobs_attempts="1")
    problem = over(studio, begin(studio, how="segfault")).problem
    assert problem is not None
    assert "SIGSEGV" in problem.why
    assert any("Segmentation fault" in line for line in problem.log)
    assert any("go_wrong" in line for line in problem.log)


@posix
def test_a_worker_without_a_sign_of_life_is_ended(new_studio: NewStudio) -> None:
    studio = new_studio(jobs_attempts="1", jobs_hang_seconds="1.5")
    problem = over(studio, begin(studio, how="stop")).problem
    assert problem is not None
    assert "no sign of life for 1.5 seconds" in problem.why


@posix
def test_a_killed_worker_says_which_signal_it_was(studio: Studio, tmp_path: Path) -> None:
    job = begin(studio, how=f"wait {tmp_path / 'go'}")
    until(lambda: is_running(studio, job))
    process = studio.workers.states()[0].process
    assert process is not None
    os.kill(process, signal.SIGKILL)
    until(lambda: studio.workers.states()[0].restarts)
    (tmp_path / "go").touch()
    assert over(studio, job).attempt == 2
    reasons = [event.data["why"] for event in studio.jobs.events(job=job.id) if "why" in event.data]
    assert reasons == ["The worker process was ended by SIGKILL. Perhaps memory ran out."]


def test_stopping_gives_the_job_back_without_counting_the_attempt(studio: Studio, tmp_path: Path) -> None:
    job = begin(studio, how=f"wait {tmp_path / 'go'}")
    until(lambda: is_running(studio, job))
    studio.workers.stop(PATIENCE)
    given_back = studio.jobs.get(job.id)
    assert (given_back.state, given_back.attempt) == ("queued", 0)
    assert studio.workers.states() == []
    (tmp_path / "go").touch()
    studio.workers.start()
    assert over(studio, job).state == "done"


def test_work_that_does_not_listen_is_killed_and_queued_again(studio: Studio, tmp_path: Path) -> None:
    job = begin(studio, how=f"deaf {tmp_path / 'go'}")
    until(lambda: is_running(studio, job))
    studio.workers.stop(patience=0.1)
    given_back = studio.jobs.get(job.id)
    assert (given_back.state, given_back.attempt) == ("queued", 0)


def test_work_that_ignores_its_cancelling_is_ended_with_its_process(new_studio: NewStudio) -> None:
    studio = new_studio(jobs_cancel_seconds="0.3")
    job = begin(studio, how="deaf never")
    until(lambda: is_running(studio, job))
    process = studio.workers.states()[0].process
    studio.jobs.cancel(job.id)
    ended, after = over(studio, job), over(studio, begin(studio))
    assert (ended.state, after.state) == ("cancelled", "done")
    assert ended.problem is not None
    assert "did not stop when it was cancelled" in ended.problem.why
    assert any("in go_wrong" in line for line in ended.problem.log)
    assert after.result is not None
    assert after.result["pid"] != process
    assert studio.workers.states()[0].restarts == 0


def test_a_worker_that_is_restarted_at_once_gives_its_job_to_the_next(new_studio: NewStudio) -> None:
    studio = new_studio(jobs_cancel_seconds="0.3")
    listening = begin(studio, pictures=1, steps=60, seconds=0.05)
    until(lambda: is_sampling(studio, listening, 0))
    studio.workers.restart(now=True)
    assert (over(studio, listening).state, over(studio, listening).attempt) == ("done", 1)
    deaf = begin(studio, how="deaf never")
    until(lambda: is_running(studio, deaf))
    process = studio.workers.states()[0].process
    studio.workers.restart(now=True)
    until(lambda: studio.workers.states()[0].process not in (process, None))
    reasons = [event.data["why"] for event in studio.jobs.events(job=deaf.id) if "why" in event.data]
    assert reasons == ["The worker was restarted. The work did not stop by itself."]


def test_a_new_worker_comes_when_asked_for_after_the_job(studio: Studio, tmp_path: Path) -> None:
    job = begin(studio, how=f"wait {tmp_path / 'go'}")
    until(lambda: is_running(studio, job))
    studio.workers.restart("device")
    (tmp_path / "go").touch()
    first, second = over(studio, job), over(studio, begin(studio))
    assert first.result is not None
    assert second.result is not None
    assert first.result["pid"] != second.result["pid"]
    assert (first.attempt, studio.workers.states()[0].restarts) == (1, 0)


def test_two_servers_on_one_folder_do_every_job_once(new_studio: NewStudio, tmp_path: Path) -> None:
    one, two = new_studio(), new_studio()
    job = begin(one, how=f"wait {tmp_path / 'go'}")
    until(lambda: is_running(one, job))
    two.workers.start()
    until(lambda: two.workers.states()[0].problem == WAITS)
    jobs = [two.jobs.submit("draw", {"name": str(number)}) for number in range(5)]
    (tmp_path / "go").touch()
    assert all(over(two, one_of_them).attempt == 1 for one_of_them in [job, *jobs])
    one.workers.stop(PATIENCE)
    assert over(two, two.jobs.submit("draw", {})).state == "done"


def test_settings_that_change_hold_from_the_next_job_on(studio: Studio, settings_file: Path) -> None:
    first = over(studio, begin(studio))
    with settings_file.open("a") as file:
        file.write("[jobs]\nattempts = 7\n")
    second = over(studio, begin(studio))
    assert first.result is not None
    assert second.result is not None
    assert (first.result["settings"], second.result["settings"]) == (3, 7)
    assert first.result["pid"] == second.result["pid"]


def test_a_database_that_another_program_holds_is_waited_for(studio: Studio, tmp_path: Path) -> None:
    job = begin(studio, pictures=20, seconds=0.01)
    until(lambda: studio.jobs.get(job.id).images)
    held = sqlite3.connect(tmp_path / "data" / "studio.db", isolation_level=None)
    held.execute("BEGIN IMMEDIATE")
    time.sleep(1.0)
    held.execute("ROLLBACK")
    held.close()
    ended = over(studio, job)
    assert (ended.state, ended.attempt, len(ended.images)) == ("done", 1, 20)


def test_memory_of_the_working_process_is_sampled(studio: Studio) -> None:
    from sfumato.memory_log import MemoryLog

    over(studio, begin(studio))
    until(lambda: MemoryLog(studio.database).since(0.0))
    sample = MemoryLog(studio.database).since(0.0)[0]
    assert sample.process > 0


def test_the_log_of_the_worker_tells_of_its_jobs(studio: Studio) -> None:
    job = over(studio, begin(studio))
    log = studio.workers.states()[0].log
    assert log is not None
    assert job.id in log.read_text("utf-8")


@posix
def test_a_full_disk_holds_a_picture_up_until_there_is_room(studio: Studio, tmp_path: Path) -> None:
    import resource

    queue = studio.jobs
    job = queue.submit("draw", {})
    with queue.store.writing() as connection:
        row = claim(connection, "device", "worker", "")
    assert row is not None
    recorder = Recorder(queue.store, row, queue.changed)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    journal = tmp_path / "data" / "studio.db-wal"
    resource.setrlimit(resource.RLIMIT_FSIZE, (journal.stat().st_size, limits[1]))
    try:
        recorder(StepCompleted(step=1, steps=2))
        with pytest.raises(OperationalError):
            recorder.flush()
        timer = threading.Timer(0.3, resource.setrlimit, (resource.RLIMIT_FSIZE, limits))
        timer.start()
        path = tmp_path / "a.png"
        picture = {"path": path, "seed": 1, "width": 1, "height": 1, "infotext": ""}
        recorder(ImageSaved(image=ImageRecord(**picture, request=GenerationRequest())))
        timer.join()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    recorder.finish("done")
    ended = queue.get(job.id)
    assert (ended.state, [image.path for image in ended.images]) == ("done", [path])
    kinds = [event.kind for event in queue.events(job=job.id)]
    assert kinds == ["job_changed", "job_changed", "step_completed", "image_saved", "job_changed"]


def test_a_clock_going_backwards_changes_no_order(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    moments = itertools.count(2_000_000_000, -3600)
    with monkeypatch.context() as patch:
        patch.setattr("time.time", lambda: float(next(moments)))
        jobs = [studio.jobs.submit("draw", {"name": str(number)}) for number in range(4)]
    ended = [over(studio, job) for job in (begin(studio), *jobs)][1:]
    assert {job.state for job in ended} == {"done"}
    runs = [event.job for event in studio.jobs.events() if event.data.get("state") == "running"]
    assert runs[:4] == [job.id for job in jobs]
    assert [job.id for job in studio.jobs.list()][1:] == [job.id for job in reversed(jobs)]


@pytest.mark.slow
def test_workers_work_off_a_queue_in_postgresql(new_studio: NewStudio, postgresql: str) -> None:
    studio = new_studio(jobs_database=postgresql)
    job = begin(studio, pictures=2, how="exit 1")
    assert over(studio, job).state == "interrupted"
    assert [image.path.exists() for image in over(studio, begin(studio)).images] == [True]
