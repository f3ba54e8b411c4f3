"""The queue does what a list of jobs would that a person keeps by hand."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    rule,
    run_state_machine_as_test,
)

from sfumato.database import Database
from sfumato.errors import BadInput
from sfumato.jobs import Job
from sfumato.jobs.claiming import claim
from sfumato.jobs.queue import JobQueue
from sfumato.jobs.recording import Recorder
from sfumato.jobs.recovery import Cause, orphans_of_place, recover
from sfumato.registries import Registries

from .conftest import NewStudio

ATTEMPTS = 2


@dataclass
class Kept:
    """A job as the person knows it."""

    id: str
    user: str
    priority: int
    state: str = "queued"
    attempt: int = 0
    cancelling: bool = False


@dataclass
class ByHand:
    """Jobs in line, and how long ago each user was served."""

    line: list[Kept] = field(default_factory=list)
    jobs: dict[str, Kept] = field(default_factory=dict)
    served: list[str] = field(default_factory=list)

    def next(self) -> Kept | None:
        queued = [job for job in self.line if job.state == "queued"]
        if not queued:
            return None
        highest = [job for job in queued if job.priority == max(job.priority for job in queued)]
        waited = {user: len(self.served) - self.served[::-1].index(user) for user in self.served}
        longest = min(waited.get(job.user, 0) for job in highest)
        return next(job for job in highest if waited.get(job.user, 0) == longest)


class QueueMachine(RuleBasedStateMachine):
    registries: Registries
    jobs = Bundle("jobs")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.queue = JobQueue(Database.in_folder(Path(self.folder.name)), self.registries)
        self.model = ByHand()
        self.running: Recorder | None = None

    def teardown(self) -> None:
        self.queue.close()
        self.queue._database.close()
        self.folder.cleanup()

    @rule(target=jobs, user=st.sampled_from("abc"), priority=st.integers(-1, 1))
    def submit(self, user: str, priority: int) -> str:
        job = self.queue.submit("draw", {}, user=user, priority=priority)
        kept = Kept(job.id, user, priority)
        self.model.line.append(kept)
        self.model.jobs[job.id] = kept
        return job.id

    @rule()
    def begin(self) -> None:
        if self.running is not None:
            return
        expected = self.model.next()
        with self.queue.store.writing() as connection:
            row = claim(connection, "device", "worker", "")
        self.queue.changed()
        assert (row.id if row else None) == (expected.id if expected else None)
        if row is not None and expected is not None:
            self.model.served.append(expected.user)
            expected.state = "running"
            expected.attempt += 1
            self.running = Recorder(self.queue.store, row, self.queue.changed)

    @rule(state=st.sampled_from(["done", "failed", "cancelled"]))
    def finish(self, state: str) -> None:
        if self.running is not None:
            kept = self.model.jobs[self.running._job.id]
            self.running.finish(state)
            kept.state, kept.cancelling, self.running = state, False, None

    @rule(counts=st.booleans())
    def crash(self, counts: bool) -> None:
        if self.running is None:
            return
        kept = self.model.jobs[self.running._job.id]
        with self.queue.store.writing() as connection:
            for row in orphans_of_place(connection, "device", ""):
                recover(connection, row, Cause("It was killed.", counts=counts), ATTEMPTS)
        self.queue.changed()
        if kept.cancelling:
            kept.state = "cancelled"
        elif not counts:
            kept.state, kept.attempt = "queued", kept.attempt - 1
        else:
            kept.state = "queued" if kept.attempt < ATTEMPTS else "interrupted"
        kept.cancelling, self.running = False, None

    @rule(job=jobs)
    def cancel(self, job: str) -> None:
        self.queue.cancel(job)
        kept = self.model.jobs[job]
        kept.cancelling = kept.state == "running"
        kept.state = "cancelled" if kept.state == "queued" else kept.state

    @rule(job=jobs)
    def retry(self, job: str) -> None:
        kept = self.model.jobs[job]
        if kept.state in ("queued", "running", "done"):
            with pytest.raises(BadInput):
                self.queue.retry(job)
            return
        self.queue.retry(job)
        kept.state, kept.attempt = "queued", 0
        self.model.line.remove(kept)
        self.model.line.append(kept)

    @rule(job=jobs, priority=st.integers(-1, 1))
    def set_priority(self, job: str, priority: int) -> None:
        assert self.queue.set_priority(job, priority).priority == priority
        self.model.jobs[job].priority = priority

    @rule(job=consumes(jobs))
    def remove(self, job: str) -> None:
        kept = self.model.jobs[job]
        if kept.state in ("queued", "running"):
            with pytest.raises(BadInput):
                self.queue.remove(job)
            return
        self.queue.remove(job)
        del self.model.jobs[job]
        self.model.line.remove(kept)

    @invariant()
    def all_is_as_kept_by_hand(self) -> None:
        found: list[Job] = self.queue.list(limit=1000)
        assert {job.id: (job.state, job.attempt, job.priority) for job in found} == {
            kept.id: (kept.state, kept.attempt, kept.priority) for kept in self.model.jobs.values()
        }
        in_line = [job.id for job in self.queue.waiting()]
        expected = self.model.next()
        assert in_line[:1] == ([expected.id] if expected else [])
        assert {job.id for job in self.queue.running()} == (
            {self.running._job.id} if self.running is not None else set()
        )
        assert all(self.queue.get(job.id) == job for job in found)


@pytest.mark.slow
def test_the_queue_is_as_a_list_kept_by_hand(new_studio: NewStudio) -> None:
    machine = type("Machine", (QueueMachine,), {"registries": new_studio().registries})
    run_state_machine_as_test(
        machine, settings=settings(max_examples=25, stateful_step_count=30, deadline=None)
    )
