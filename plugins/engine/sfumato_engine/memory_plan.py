"""The task 'memory_plan': what a request will take, phase by phase, told before it is carried out."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from sfumato.models import LoadedModel
from sfumato.request import GenerationRequest
from sfumato.tasks import TaskContext
from sfumato_engine.resolution import ResolvedRequest, resolve

if TYPE_CHECKING:
    from sfumato_engine.residency.forecast import PlannedPhase
    from sfumato_engine.residency.residency import Residency


class PlannedPart(BaseModel):
    """A part of a model in a phase, in bytes."""

    model_config = ConfigDict(frozen=True)

    model: str
    part: str
    resident: int = Field(description="On the device.")
    total: int = Field(description="With all of it there; 0 where it takes no memory of its own.")


class PhasePlan(BaseModel):
    """A phase, in bytes."""

    model_config = ConfigDict(frozen=True)

    phase: str
    predicted: int = Field(description="At its peak, with all else that the process holds on the device.")
    working: int = Field(description="Of that, what it needs beside weights.")
    plan: str = Field(description="'whole', or which parts are streamed; empty where it does not fit.")
    parts: tuple[PlannedPart, ...]


class MemoryPlan(BaseModel):
    """What a request will take."""

    model_config = ConfigDict(frozen=True)

    device: str
    budget: int = Field(description="Bytes that weights and work may take together.")
    fingerprint: str = Field(description="Equal to that of the record of such a request.")
    fits: bool
    phases: tuple[PhasePlan, ...]
    notes: tuple[str, ...] = ()


def memory_plan(request: GenerationRequest, context: TaskContext) -> MemoryPlan:
    """Foretell a request's memory; its models are opened, but no weight is read or placed.

    Raises:
        BadInput: an unknown name, a size or option that cannot be.
        MissingPart: a model lacks a part.
    """
    resolved = resolve(request, context)
    from sfumato_engine.adapters import release_adapters
    from sfumato_engine.fingerprint import fingerprint_of
    from sfumato_engine.model_manager import ModelManager
    from sfumato_engine.residency.forecast import forecast

    settings = context.settings.engine
    manager = ModelManager.of(context.workspace, settings)
    residency = manager.residency(settings)
    rest = manager.idle.at_work(settings.idle_minutes * 60, manager.free_device)
    with rest, residency.at_work(partial(release_adapters, context)) as telemetry:
        models = _loaded(resolved, context, residency)
        phases = list(_phases(resolved, context, residency, models))
        room = residency.room()
        states = residency.states()
        others = max(telemetry.held() - sum(state.resident for state in states), 0)
        told = forecast(states, phases, room)
    return MemoryPlan(
        device=settings.device if settings.device.startswith("simulated") else residency.device,
        budget=room,
        fingerprint=fingerprint_of(resolved, settings),
        fits=all(phase.plan for phase in told),
        phases=tuple(
            PhasePlan(
                phase=phase.name,
                predicted=phase.peak + others,
                working=planned.working,
                plan=phase.plan,
                parts=tuple(
                    PlannedPart(model=each.model, part=each.part, resident=each.resident, total=each.total)
                    for each in phase.parts
                ),
            )
            for phase, planned in zip(told, phases, strict=True)
        ),
        notes=tuple(_notes(resolved, settings.quantisation)),
    )


def _loaded(resolved: ResolvedRequest, context: TaskContext, residency: Residency) -> list[LoadedModel]:
    """The model of each pass, in order."""
    from sfumato_engine.preparation import Preparation
    from sfumato_engine.stages import Stages

    preparation = Preparation(resolved, context, Stages((), resolved.request))
    return [preparation.load(one).model for one in resolved.passes]


def _phases(
    resolved: ResolvedRequest, context: TaskContext, residency: Residency, models: list[LoadedModel]
) -> Iterator[PlannedPhase]:
    from sfumato_engine.fingerprint import prompts_of
    from sfumato_engine.memory import decoding_memory, encoding_memory, sampling_memory
    from sfumato_engine.residency.forecast import PlannedPhase
    from sfumato_engine.tiled_autoencoder import tiles_wanted

    settings = context.settings.engine
    passes = list(zip(resolved.passes, models, strict=True))
    if resolved.request.img2img:
        model, size = models[0], (*resolved.size, 1)
        used = residency.used("decoding", [model])
        yield PlannedPhase("encoding", used, decoding_memory(model, settings, size))
    for one, model in passes:
        yield PlannedPhase("encoding", residency.used("encoding", [model]), encoding_memory(model, one))
    for one, model in passes:
        size = (*one.size, one.request.batch_size)
        working = sampling_memory(model, one, settings, prompts_of(one).count, size)
        yield PlannedPhase("sampling", residency.used("sampling", [model]), working)
    one, model = passes[-1]
    size = (*one.size, one.request.batch_size)
    whole = decoding_memory(model, settings.model_copy(update={"vae_tiling": "never"}), size)
    in_parts = tiles_wanted(settings.vae_tiling, whole, residency.spare("decoding", model))
    working = decoding_memory(model, settings, size) if in_parts else whole
    yield PlannedPhase("decoding", residency.used("decoding", [model]), working)


def _notes(resolved: ResolvedRequest, quantisation: str) -> Iterator[str]:
    if "<lora:" in resolved.request.prompt:
        yield "Merged LoRAs may take copies of the weights that they change, as far as there is room."
    if quantisation:
        yield f"Plain weights are packed as {quantisation} while they are loaded."
