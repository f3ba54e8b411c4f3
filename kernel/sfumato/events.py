"""What happens while work is done, told to whoever listens: progress bars, pages, tests."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from sfumato.errors import Cancelled
from sfumato.records import ImageRecord

log = logging.getLogger(__name__)


class Event(BaseModel):
    """Base of all events; `kind` tells them apart in JSON."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    kind: str


class PhaseStarted(Event):
    """A longer phase began: loading a model, encoding prompts, sampling, decoding."""

    kind: Literal["phase_started"] = "phase_started"
    phase: str
    detail: str = ""


class StepCompleted(Event):
    """One sampling step of one batch is done."""

    kind: Literal["step_completed"] = "step_completed"
    step: int = Field(description="Steps done in this batch, from 1.")
    steps: int = Field(description="Steps in this batch.")
    batch: int = Field(default=0, description="Which batch, from 0.")
    batches: int = 1
    steps_per_second: float = Field(default=0.0, description="Rate over the last steps.")
    seconds_left: float | None = Field(default=None, description="Estimate for the whole request.")
    preview: tuple[bytes, ...] = Field(
        default=(), description="Small PNG of each picture so far, when wanted."
    )


class ImageSaving(Event):
    """A picture is about to appear on disk, whole, under a name that was free.

    Who keeps it before the picture appears can tell, after a crash, whether it did.
    """

    kind: Literal["image_saving"] = "image_saving"
    image: ImageRecord


class ImageSaved(Event):
    """A picture is complete on disk."""

    kind: Literal["image_saved"] = "image_saved"
    image: ImageRecord


class Warned(Event):
    """Something the user should know although the work goes on."""

    kind: Literal["warned"] = "warned"
    message: str


class PhaseMemory(BaseModel):
    """Memory and time of one phase of a piece of work; bytes, 0 where not known."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    phase: str = Field(description="'loading', 'encoding', 'sampling', 'decoding' ...")
    predicted: int = Field(default=0, description="Peak that was foretold.")
    peak: int = Field(default=0, description="Peak that was measured.")
    seconds: float = 0.0


class WorkMeasured(Event):
    """What a piece of work took, told at its end."""

    kind: Literal["work_measured"] = "work_measured"
    task: str
    fingerprint: str = Field(description="Equal for requests that need the same memory and time.")
    description: str = Field(default="", description="The request in a few words.")
    device: str
    plan: str = Field(default="", description="How the weights were placed.")
    phases: tuple[PhaseMemory, ...] = ()
    seconds: float = 0.0
    retried: bool = Field(default=False, description="Whether the memory ran out at first.")


Listener = Callable[[Event], None]


class EventBus:
    """Hands each event to every listener, in order of subscription; a failing one is logged and skipped."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Start listening; the returned function stops it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def emit(self, event: Event) -> None:
        for listener in tuple(self._listeners):
            try:
                listener(event)
            except Cancelled:
                raise
            except Exception:
                log.exception("An event listener failed on %s", event.kind)


Ending = Literal["", "skip", "interrupt"]


class CancelToken:
    """Lets another thread or a signal handler stop work between steps.

    Attributes:
        ending: How work is to end early although it is not cancelled. "skip": what is being sampled is taken
            as it is, and the next batch begins; "interrupt": no further batch begins either.
    """

    def __init__(self) -> None:
        self._flag = threading.Event()
        self.ending: Ending = ""

    def cancel(self) -> None:
        self._flag.set()

    @property
    def cancelled(self) -> bool:
        return self._flag.is_set()

    def check(self) -> None:
        """Raises `Cancelled` once `cancel` was called."""
        if self._flag.is_set():
            raise Cancelled("Cancelled.", hint="Finished pictures were kept.")
