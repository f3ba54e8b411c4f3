"""How far a job is, from the events of its work."""

from __future__ import annotations

from sfumato.events import Event, PhaseStarted, StepCompleted
from sfumato.jobs.records import JobProgress


def after(event: Event, progress: JobProgress) -> JobProgress | None:
    """Progress once `event` has happened; None when that tells nothing of it."""
    if isinstance(event, PhaseStarted):
        return progress.model_copy(update={"phase": event.phase, "detail": event.detail})
    if not isinstance(event, StepCompleted):
        return None
    in_batch = event.step / event.steps if event.steps > 0 else 0.0
    fraction = min(1.0, (event.batch + min(1.0, in_batch)) / max(1, event.batches))
    told = {name: getattr(event, name) for name in ("step", "steps", "batch", "batches", "steps_per_second")}
    return progress.model_copy(
        update={
            **told,
            "seconds_left": event.seconds_left,
            "fraction": max(progress.fraction, fraction),
            "preview": progress.preview + bool(event.preview),
        }
    )
