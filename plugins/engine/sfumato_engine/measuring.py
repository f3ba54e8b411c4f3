"""What a request took, told at its end for whoever keeps records."""

from __future__ import annotations

from sfumato.events import WorkMeasured
from sfumato.tasks import TaskContext
from sfumato_engine.fingerprint import fingerprint_of
from sfumato_engine.residency.residency import Residency
from sfumato_engine.resolution import ResolvedRequest
from sfumato_engine.settings import EngineSettings


def measured(
    resolved: ResolvedRequest, context: TaskContext, residency: Residency, seconds: float
) -> WorkMeasured:
    """The record of a request that was carried out."""
    settings: EngineSettings = context.settings.engine
    plan = "; ".join(f"{phase}: {how}" for phase, how in residency.plan.items())
    return WorkMeasured(
        task="generate",
        fingerprint=fingerprint_of(resolved, settings),
        description=description(resolved),
        device=settings.device if settings.device.startswith("simulated") else residency.device,
        plan=plan or "whole",
        phases=residency.telemetry.phases() if residency.telemetry else (),
        seconds=round(seconds, 4),
        retried=bool(residency.tightened),
    )


def description(resolved: ResolvedRequest) -> str:
    """The request in a few words: "emoji, 128x128, 12 steps, batch 2 x 3, hires"."""
    request = resolved.request
    width, height = resolved.size
    words = [resolved.info.name, f"{width}x{height}", f"{request.steps} steps"]
    if (request.batch_size, request.count) != (1, 1):
        words.append(f"batch {request.batch_size} x {request.count}")
    words += [word for word, there in (("hires", request.hires), ("img2img", request.img2img)) if there]
    return ", ".join(words)
