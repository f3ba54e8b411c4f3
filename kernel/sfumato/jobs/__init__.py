"""Durable work: a queue in a database, worked off by processes of their own.

`queue.JobQueue` is what clients use (``Studio().jobs``), `supervisor.Supervisor` keeps the worker processes
alive (``Studio().workers``), `worker` is what runs in them.
"""

from sfumato.jobs.records import ENDED, Job, JobEvent, JobProblem, JobProgress, JobState, Preview

__all__ = ["ENDED", "Job", "JobEvent", "JobProblem", "JobProgress", "JobState", "Preview"]
