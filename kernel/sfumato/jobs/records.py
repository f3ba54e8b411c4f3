"""What clients see of jobs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from sfumato.records import ImageRecord
from sfumato.tasks import Lane

JobState = Literal["queued", "running", "done", "failed", "cancelled", "interrupted"]
"""A job that was cut short by a crash is queued again; "interrupted" is one that was cut short too often."""

ENDED: frozenset[JobState] = frozenset({"done", "failed", "cancelled", "interrupted"})

LOCAL_USER = "local"
"""Who owns jobs where nobody has to log in."""


class JobProblem(BaseModel):
    """Why a job failed or was cut short, in the words of `sfumato.errors.SfumatoError`."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    what: str
    why: str = ""
    hint: str = ""
    error: str = Field(default="", description="Name of the error's class.")
    log: tuple[str, ...] = Field(default=(), description="The last lines that the worker process logged.")


class JobProgress(BaseModel):
    """How far a running job is."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    phase: str = Field(default="", description="'loading', 'sampling', 'decoding' ...")
    detail: str = ""
    step: int = Field(default=0, description="Steps done in this batch.")
    steps: int = 0
    batch: int = Field(default=0, description="Which batch, from 0.")
    batches: int = 1
    fraction: float = Field(default=0.0, ge=0, le=1, description="Of the whole job.")
    steps_per_second: float = 0.0
    seconds_left: float | None = None
    preview: int = Field(default=0, description="Number of the newest preview; 0 while there is none.")


class Job(BaseModel):
    """One piece of work in the queue or its history."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    id: str
    number: int = Field(description="Counts up with each submission; lists are in its order.")
    kind: str = Field(description="The registered task: 'generate', 'upscale', 'grid' ...")
    label: str = Field(default="", description="A line for people, such as the prompt.")
    user: str = LOCAL_USER
    state: JobState = "queued"
    lane: Lane = "device"
    priority: int = Field(default=0, description="Higher goes first, whoever's it is.")
    request: dict[str, Any] = Field(description="What was asked for, as the task's model writes it in JSON.")
    result: dict[str, Any] | None = None
    problem: JobProblem | None = None
    progress: JobProgress | None = None
    warnings: tuple[str, ...] = ()
    images: tuple[ImageRecord, ...] = Field(default=(), description="Saved so far, in order.")
    attempt: int = Field(default=0, description="How often it was begun.")
    created: datetime
    started: datetime | None = None
    ended: datetime | None = None

    @property
    def is_over(self) -> bool:
        return self.state in ENDED


class JobEvent(BaseModel):
    """Something that happened to a job; `seq` counts over all jobs and never falls.

    Kinds: those of `sfumato.events` (``phase_started``, ``step_completed`` without its previews,
    ``image_saved``, ``warned``) with their fields as `data`, the first two with the job's `progress` besides;
    ``job_changed`` with the job's `state`, `priority`, `position` and `attempt` as they are now, and where it
    has them its `problem` and `why` it is queued again; ``job_removed``.
    """

    model_config = ConfigDict(frozen=True, defer_build=True)

    seq: int
    job: str
    user: str = LOCAL_USER
    at: datetime
    kind: str
    data: dict[str, Any] = {}


@dataclass(frozen=True)
class Preview:
    """The newest preview of a running job.

    Attributes:
        number: Counts up within the job.
        pictures: A PNG of each picture of the batch.
    """

    number: int
    pictures: tuple[bytes, ...]
