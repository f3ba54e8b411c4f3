"""All that comes before the first step: model loaded, request checked against it, prompts encoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sfumato.events import CancelToken, PhaseStarted
from sfumato.models import LoadedModel, PromptText
from sfumato.tasks import TaskContext
from sfumato_engine.batching import passes_side_by_side
from sfumato_engine.conditioning import Encoder
from sfumato_engine.device import placement
from sfumato_engine.guidance import Guidance, NegativeRange, unconditional_share
from sfumato_engine.memory import CLOSE, check_memory, memory_errors_explained
from sfumato_engine.model_manager import KeptModel, ModelManager
from sfumato_engine.no_effect import without_guidance
from sfumato_engine.option_roles import encoding_options, part_dtypes
from sfumato_engine.prompts import CompiledPrompt, compile_prompt
from sfumato_engine.resolution import ResolvedRequest
from sfumato_engine.sampling_pass import SamplingPass
from sfumato_engine.sizes import check_size
from sfumato_engine.stages import Stages


@dataclass(frozen=True)
class Prepared:
    """Ready to sample.

    Attributes:
        model: Loaded and placed.
        sampling: The pass to take for each batch.
        latent_shape: (c, h, w) of one picture.
        stages: Of plugins, that the request names.
        warnings: What the user asked for that will have no effect.
    """

    model: LoadedModel
    sampling: SamplingPass
    latent_shape: tuple[int, int, int]
    stages: Stages
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Prompts:
    """The prompts of a request, compiled.

    Attributes:
        negative: None where guidance never uses it.
        unused_tags: Extra networks that the prompt asks for and nothing applies, as written.
    """

    positive: CompiledPrompt
    negative: CompiledPrompt | None
    unused_tags: tuple[str, ...]

    @classmethod
    def of(cls, resolved: ResolvedRequest, stages: Stages, cancel: CancelToken) -> Prompts:
        request, steps = resolved.request, resolved.steps
        text = stages.prompt(request.prompt)
        positive = compile_prompt(text, steps, emphasis=request.emphasis, check=cancel.check)
        used = unconditional_share([part.weight for part in positive.parts], resolved.cfg_scale)
        negative = None
        if used or resolved.sampler.info.needs_unconditional:
            negative_text = stages.prompt(request.negative_prompt)
            negative = compile_prompt(
                negative_text, steps, emphasis=request.emphasis, compose=False, check=cancel.check
            )
        tags = dict.fromkeys(text[network.start : network.end] for network in positive.networks)
        return cls(positive, negative, tuple(tags))

    @property
    def count(self) -> int:
        """Model evaluations a picture and step."""
        return len(self.positive.parts) + (self.negative is not None)

    @property
    def warnings(self) -> Sequence[str]:
        """What was written that will have no effect, or one that was hardly meant."""
        told = [f"{tag} has no effect: nothing applies it." for tag in self.unused_tags]
        weights = [part.weight for part in self.positive.parts]
        if len(weights) == 1 and weights != [1.0]:
            told.append(
                f"The number at the end of the prompt weighs all of it {weights[0]:g} times. "
                "To have it as text, write something behind it, such as a comma."
            )
        return told


def prepare(resolved: ResolvedRequest, context: TaskContext) -> Prepared:
    """Make ready what a request needs.

    Raises:
        MissingPart, CheckpointError: the model cannot be loaded.
        BadInput: it cannot draw this size, or the device in the settings cannot be used.
        OutOfMemory: it would not fit.
        PluginError: a stage failed.
        Cancelled: stopped by the user before all prompts were encoded.
    """
    settings = context.settings.engine
    stages = Stages(resolved.stages, resolved.request)
    prompts = Prompts.of(resolved, stages, context.cancel)
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
    positions = resolved.request.batch_size * shape[1] * shape[2]
    passes = passes_side_by_side(settings.cfg_batching, prompts.count, positions)
    check_memory(model, resolved, settings.cfg_batching, prompts.count, lambda: manager.drop_others(model))
    context.events.emit(PhaseStarted(phase="encoding"))
    guidance = guided_by(
        prompts, resolved, encoder(resolved, kept, manager, context.cancel), one_batch=passes > 1
    )
    sampling = SamplingPass.of(resolved, model, guidance)
    warnings = (
        *prompts.warnings,
        *guidance_warnings(resolved, guidance, sampling.sigmas),
        *guidance.notes,
    )
    return Prepared(model, sampling, shape, stages, warnings)


def guidance_warnings(
    resolved: ResolvedRequest, guidance: Guidance, sigmas: Sequence[float]
) -> Sequence[str]:
    """What was asked of guidance that will have no effect."""
    if guidance.share and guidance.negative_range.takes_in_any(sigmas):
        return ()
    return without_guidance(resolved, at_this_scale=not guidance.share)


def latent_shape(resolved: ResolvedRequest, model: LoadedModel) -> tuple[int, int, int]:
    """(c, h, w) of one picture's latents; raises `BadInput` for a size that the model cannot draw."""
    width, height = resolved.size
    latent = model.latent_format
    check_size(width, height, latent.size_multiple)
    return latent.channels, height // latent.pixels_per_latent, width // latent.pixels_per_latent


def encoder(
    resolved: ResolvedRequest, kept: KeptModel, manager: ModelManager, cancel: CancelToken
) -> Encoder:
    """The model's text encoders as the request wants them; cancelled between one prompt and the next."""
    options: dict[str, Any] = resolved.model_options

    def encode(text: PromptText) -> Any:
        cancel.check()
        return kept.model.condition(text, options)

    return Encoder(
        cache=manager.conditioning,
        identity=kept.identity,
        options=encoding_options(resolved.family.options, options),
        emphasis=resolved.request.emphasis,
        clip_skip=resolved.clip_skip,
        encode=encode,
    )


def guided_by(prompts: Prompts, resolved: ResolvedRequest, encoder: Encoder, *, one_batch: bool) -> Guidance:
    """What steers the pictures, all prompts encoded."""
    request = resolved.request
    return Guidance(
        parts=encoder.parts(prompts.positive),
        negative=encoder.parts(prompts.negative)[0].timeline if prompts.negative else None,
        scale=resolved.cfg_scale,
        rescale=request.cfg_rescale,
        negative_range=NegativeRange(
            request.guidance_start,
            request.guidance_end,
            request.negative_minimum_sigma,
            request.negative_minimum_sigma_all,
        ),
        one_batch=one_batch,
    )
