"""Jobs as they are this moment, in memory: asking for progress again and again costs no database."""

from __future__ import annotations

import threading
from collections.abc import Callable

from sfumato.jobs.records import Job, JobEvent, JobProgress, Preview

MOST_KEPT = 500


class LiveJobs:
    """What was read of jobs, kept until an event says that it changed; progress is kept up to date."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: dict[str, Job] = {}
        self._running: list[str] | None = None
        self._previews: dict[str, Preview] = {}
        self._version = 0

    def apply(self, events: list[JobEvent] | None) -> None:
        """Take over what happened; None forgets everything."""
        with self._lock:
            self._version += 1
            if events is None:
                self._forget_all()
            for event in events or ():
                self._take(event)

    def changed(self) -> None:
        """Something was written by this process."""
        self.apply(None)

    def job(self, job: str, read: Callable[[], Job]) -> Job:
        known = self._jobs.get(job)
        if known is not None:
            return known
        version = self._version
        found = read()
        with self._lock:
            if version == self._version:  # otherwise what was read may be old already
                if len(self._jobs) >= MOST_KEPT:
                    self._jobs.clear()
                self._jobs[job] = found
        return found

    def running(self, read: Callable[[], list[Job]]) -> list[Job]:
        with self._lock:
            if self._running is not None and all(job in self._jobs for job in self._running):
                return [self._jobs[job] for job in self._running]
        version = self._version
        found = read()
        with self._lock:
            if version == self._version:
                self._running = [job.id for job in found]
                self._jobs.update({job.id: job for job in found})
        return found

    def preview(self, job: str, number: int, read: Callable[[], Preview | None]) -> Preview | None:
        """The newest preview, read when there is a newer one than is known."""
        known = self._previews.get(job)
        if known is not None and known.number >= number:
            return known
        found = read()
        with self._lock:
            if found is not None:
                self._previews[job] = found
        return found

    def _take(self, event: JobEvent) -> None:
        progress = event.data.get("progress")
        if progress is not None:
            known = self._jobs.get(event.job)
            if known is not None:
                fresh = JobProgress.model_validate(progress)
                self._jobs[event.job] = known.model_copy(update={"progress": fresh})
            return
        self._jobs.pop(event.job, None)
        if event.kind in ("job_changed", "job_removed"):
            self._running = None
            self._previews.pop(event.job, None)

    def _forget_all(self) -> None:
        self._jobs.clear()
        self._previews.clear()
        self._running = None
