"""Workers and servers killed at any moment: nothing that was finished is lost, nothing is done twice."""

from __future__ import annotations

import contextlib
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from sfumato.jobs import ENDED, Job
from sfumato.studio import Studio

from .conftest import NewStudio

SERVER = Path(__file__).with_name("server_program.py")


class Server:
    """A process that holds a supervisor, and the worker processes below it."""

    def __init__(self, folder: Path) -> None:
        self.log = (folder / "server.log").open("ab")
        self.process = self._start()
        self.orphans: list[psutil.Process] = []

    def _start(self) -> psutil.Popen:
        return psutil.Popen([sys.executable, str(SERVER)], stdout=self.log, stderr=self.log)

    def workers(self) -> list[psutil.Process]:
        with contextlib.suppress(psutil.NoSuchProcess):
            return list(self.process.children())
        return []

    def kill(self, what: str) -> None:
        """Kill "worker", "server" or "both"; a server that is gone is followed by another."""
        workers = [*self.workers(), *(orphan for orphan in self.orphans if orphan.is_running())]
        if what != "server":
            for worker in workers:
                with contextlib.suppress(psutil.NoSuchProcess):
                    worker.kill()
        if what != "worker":
            self.orphans = workers
            self.process.kill()
            self.process.wait()
            self.process = self._start()

    def end(self) -> None:
        workers = [*self.workers(), *self.orphans]
        self.process.kill()
        self.process.wait()
        for worker in workers:
            with contextlib.suppress(psutil.NoSuchProcess):
                worker.kill()
        psutil.wait_procs(workers, timeout=10)
        self.log.close()


@pytest.fixture
def server(tmp_path: Path, settings_file: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    yield server
    server.end()


@pytest.mark.parametrize("kills", [8, pytest.param(60, marks=pytest.mark.slow)])
def test_whatever_is_killed_every_job_ends_once_with_every_picture_once(
    server: Server, new_studio: NewStudio, tmp_path: Path, kills: int
) -> None:
    studio, chance = new_studio(), random.Random(5)
    with Path(os.environ["SFUMATO_CONFIG"]).open("a") as file:
        file.write("[jobs]\nattempts = 100\n")
    names: list[str] = []
    for kill in range(kills):
        while len(studio.jobs.waiting()) < 3:
            names.append(f"job{len(names)}")
            drawing = {"name": names[-1], "pictures": 4, "seconds": 0.01}
            studio.jobs.submit("draw", drawing, key=names[-1], user=chance.choice(["ann", "bob"]))
        if chance.random() < 0.8:
            last = studio.jobs.last_event()
            assert wait_until(lambda last=last: is_working(studio, last))
        time.sleep(chance.uniform(0.0, 0.15))
        server.kill(chance.choice(["worker", "worker", "server", "both"]) if kill else "both")
    jobs = [studio.jobs.wait(job.id, 30) for job in studio.jobs.list(limit=1000)]

    assert len(jobs) == len(names)
    assert {job.state for job in jobs} == {"done"}
    for job in jobs:
        check_pictures(job, tmp_path / "out")
        check_ends(studio, job)
    attempts = Counter(job.attempt for job in jobs)
    assert sum(count for attempt, count in attempts.items() if attempt > 1) >= kills / 4, "few jobs were hit"


def is_working(studio: Studio, last: int) -> bool:
    return any(event.kind == "step_completed" for event in studio.jobs.events(after=last))


def wait_until(true: Callable[[], bool], seconds: float = 20.0) -> bool:
    """Whether it came true in time."""
    give_up = time.monotonic() + seconds
    while not true() and time.monotonic() < give_up:
        time.sleep(0.01)
    return true()


def check_pictures(job: Job, folder: Path) -> None:
    """Each picture is there once, and the job knows it."""
    assert sorted(image.seed for image in job.images) == [0, 1, 2, 3]
    on_disk = sorted(folder.glob(f"{job.request['name']}-*.png"))
    assert on_disk == sorted(image.path for image in job.images)


def check_ends(studio: Studio, job: Job) -> None:
    changes = [event.data for event in studio.jobs.events(job=job.id) if event.kind == "job_changed"]
    assert sum(change["state"] in ENDED for change in changes) == 1
    again = [change for change in changes[1:] if change["state"] == "queued"]
    assert all(change["why"] for change in again)
    assert len(again) == job.attempt - 1
    saved = [event for event in studio.jobs.events(job=job.id) if event.kind == "image_saved"]
    assert len(saved) == 4
