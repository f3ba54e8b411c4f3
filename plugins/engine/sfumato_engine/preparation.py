"""All that comes before the first step: model loaded, request checked against it, prompts encoded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sfumato.events import PhaseStarted
from sfumato.models import LoadedModel
from sfumato.tasks import TaskContext
from sfumato_engine.batching import passes_side_by_side
from sfumato_engine.conditioning import condition
from sfumato_engine.device import placement
from sfumato_engine.guidance import Guidance
from sfumato_engine.memory import CLOSE, check_memory, memory_errors_explained
from sfumato_engine.model_manager import KeptModel, ModelManager
from sfumato_engine.option_roles import encoding_options, part_dtypes
from sfumato_engine.resolution import ResolvedRequest
from sfumato_engine.sampling_pass import SamplingPass
from sfumato_engine.sizes import check_size


@dataclass(frozen=True)
class Prepared:
    """Ready to sample.

    Attributes:
        model: Loaded and placed.
        sampling: The pass to take for each batch.
        latent_shape: (c, h, w) of one picture.
    """

    model: LoadedModel
    sampling: SamplingPass
    latent_shape: tuple[int, int, int]


def prepare(resolved: ResolvedRequest, context: TaskContext) -> Prepared:
    """Make ready what a request needs.

    Raises:
        MissingPart, CheckpointError: the model cannot be loaded.
        BadInput: it cannot draw this size, or the device in the settings cannot be used.
        OutOfMemory: it would not fit.
    """
    settings = context.settings.engine
    where = placement(settings, part_dtypes(resolved.family.options, resolved.model_options))
    manager = ModelManager.of(context.workspace, settings)
    context.events.emit(PhaseStarted(phase="loading", detail=resolved.info.label or resolved.info.name))
    with memory_errors_explained(
        f"The memory ran out while '{resolved.info.name}' was loaded.",
        f"{CLOSE}, or compute in a smaller type: sfumato settings set engine.dtype bfloat16",
    ):
        kept = manager.load(resolved.info, resolved.family, where, context.library)
    model = kept.model
    shape = latent_shape(resolved, model)
    batch_size = resolved.request.batch_size
    passes = passes_side_by_side(settings.cfg_batching, resolved.cfg_scale, batch_size * shape[1] * shape[2])
    check_memory(model, resolved, settings.cfg_batching, lambda: manager.drop_others(model))
    context.events.emit(PhaseStarted(phase="encoding"))
    positive, negative = encoded_prompts(resolved, kept, manager)
    guidance = Guidance(
        [positive] * batch_size, [negative] * batch_size, resolved.cfg_scale, one_batch=passes == 2
    )
    return Prepared(model, SamplingPass.of(resolved, model, guidance), shape)


def latent_shape(resolved: ResolvedRequest, model: LoadedModel) -> tuple[int, int, int]:
    """(c, h, w) of one picture's latents; raises `BadInput` for a size that the model cannot draw."""
    width, height = resolved.size
    latent = model.latent_format
    check_size(width, height, latent.size_multiple)
    return latent.channels, height // latent.pixels_per_latent, width // latent.pixels_per_latent


def encoded_prompts(resolved: ResolvedRequest, kept: KeptModel, manager: ModelManager) -> tuple[Any, Any]:
    """Conditioning of prompt and negative prompt; the latter is only encoded where guidance uses it."""
    options = resolved.model_options
    relevant = encoding_options(resolved.family.options, options)

    def encoded(prompt: str) -> Any:
        return condition(
            manager.conditioning,
            kept.identity,
            prompt,
            relevant,
            lambda text: kept.model.condition(text, options),
        )

    positive = encoded(resolved.request.prompt)
    return positive, positive if resolved.cfg_scale == 1 else encoded(resolved.request.negative_prompt)
