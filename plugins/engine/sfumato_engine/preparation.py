"""All that comes before the first step: models loaded, the request checked against them, prompts encoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from sfumato.errors import BadInput
from sfumato.events import CancelToken, PhaseStarted
from sfumato.models import LoadedModel, PromptText, TextEmbedding
from sfumato.request import GenerationRequest
from sfumato.tasks import TaskContext
from sfumato_engine.adapters import PassAdapters, infotext_of
from sfumato_engine.batching import passes_side_by_side
from sfumato_engine.conditioning import Encoder
from sfumato_engine.device import placement
from sfumato_engine.guidance import Guidance, GuidedModel, NegativeRange
from sfumato_engine.hand_off import HandOff, level_of
from sfumato_engine.memory import (
    CLOSE,
    check_memory,
    decoding_memory,
    encoding_memory,
    memory_errors_explained,
    sampling_memory,
    working_memory,
)
from sfumato_engine.model_manager import KeptModel, ModelManager
from sfumato_engine.no_effect import without_guidance
from sfumato_engine.option_roles import encoding_options, part_dtypes
from sfumato_engine.part_files import named_parts
from sfumato_engine.pass_prompts import Prompts
from sfumato_engine.regions import read_regions
from sfumato_engine.resolution import ResolvedRequest
from sfumato_engine.sampling_pass import Guided, SamplingPass, noise_levels
from sfumato_engine.sizes import check_size
from sfumato_engine.stages import Stages
from sfumato_engine.start.start_picture import Start, start_from
from sfumato_engine.start.view import View, view_of_nothing
from sfumato_engine.tiling import wrapped_around


@dataclass(frozen=True)
class PreparedPass:
    """Ready to sample.

    Attributes:
        resolved: The pass as a request; its size is one that the model can draw.
        model: Loaded and placed.
        sampling: The pass to take for each batch.
        latent_shape: (c, h, w) of one picture.
        models: This one, and that of the refiner.
        working: Bytes that sampling needs beside weights.
        adapters: To be put in force before it, on its models.
        start: The picture it starts from; None for noise, or for the pass before.
        embeddings: The learned words in its prompts.
        warnings: What was asked for that will have no effect, or other than meant.
    """

    resolved: ResolvedRequest
    model: LoadedModel
    sampling: SamplingPass
    latent_shape: tuple[int, int, int]
    models: tuple[LoadedModel, ...]
    working: int
    adapters: tuple[PassAdapters, ...]
    start: Start | None
    embeddings: tuple[TextEmbedding, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Prepared:
    """All passes of a request.

    Attributes:
        hires: The pass after the first; None without one.
        stages: Of plugins, that the request names.
    """

    first: PreparedPass
    hires: PreparedPass | None
    stages: Stages

    @property
    def passes(self) -> tuple[PreparedPass, ...]:
        return (self.first, self.hires) if self.hires else (self.first,)

    @property
    def last(self) -> PreparedPass:
        return self.passes[-1]

    @property
    def warnings(self) -> list[str]:
        return list(dict.fromkeys(warning for one in self.passes for warning in one.warnings))

    @property
    def infotext(self) -> dict[str, Any]:
        """What adapters and learned words add to the infotext."""
        return infotext_of(
            (adapters for one in self.passes for adapters in one.adapters),
            (found for one in self.passes for found in one.embeddings),
        )


@dataclass(frozen=True)
class Guide:
    """One model steered by the prompts of a pass, before its steps are known."""

    kept: KeptModel
    guidance: Guidance
    adapters: PassAdapters
    embeddings: tuple[TextEmbedding, ...]
    seen: Any
    working: int
    warnings: tuple[str, ...]

    def over(self, resolved: ResolvedRequest, sigmas: Sequence[float], *, in_pairs: bool) -> GuidedModel:
        """The guided model over these noise levels."""
        return GuidedModel(
            self.kept.model,
            self.guidance,
            resolved.model_options,
            sigmas,
            keep_unconditional=in_pairs,
            picture=self.seen,
            at_step=self.adapters.at_step if self.adapters.changes_over_steps else None,
        )


def prepare(resolved: ResolvedRequest, context: TaskContext) -> Prepared:
    """Make ready what a request needs.

    Raises:
        MissingPart, CheckpointError: a model cannot be loaded.
        BadInput: it cannot draw this size, a picture cannot be read, or the device in the settings cannot be
            used.
        OutOfMemory: it would not fit.
        PluginError: a stage failed.
        Cancelled: stopped by the user before all prompts were encoded.
    """
    stages = Stages(resolved.stages, resolved.request)
    preparation = Preparation(resolved, context, stages)
    first = preparation.prepare(resolved)
    hires = preparation.prepare(resolved.hires) if resolved.hires else None
    return Prepared(first, hires, stages)


class Preparation:
    """Makes the passes of one request ready; all their models stay."""

    def __init__(self, first: ResolvedRequest, context: TaskContext, stages: Stages) -> None:
        self._first = first
        self._context = context
        self._stages = stages
        self._settings = context.settings.engine
        self._models: list[LoadedModel] = []
        self._residency = ModelManager.of(context.workspace, self._settings).residency(self._settings)

    @cached_property
    def _manager(self) -> ModelManager:
        """With room for all models of the request: else each would drop the other, request by request."""
        manager = ModelManager.of(self._context.workspace, self._settings)
        if manager.models.capacity:
            needed = {one.info.path for one in self._first.passes}
            manager.models.capacity = max(manager.models.capacity, len(needed))
        return manager

    def prepare(self, resolved: ResolvedRequest) -> PreparedPass:
        """One pass, with its refiner."""
        prompts = Prompts.of(resolved, self._stages, self._context.cancel)
        kept = self.load(resolved)
        model = kept.model
        resolved = fitted(resolved, model)
        shape = latent_shape(resolved, model)
        if resolved.request.img2img:
            self._residency.begin("encoding")
        with wrapped_around([model], wanted=resolved.request.tiling):
            start = start_from(resolved.request, model, resolved.size, self._context)
        view = start.view if start else view_of_nothing(resolved.size)
        guide = self._guide(resolved, kept, prompts, view, others_prompt=self._takes_over_prompt(resolved))
        guides = [guide]
        schedule = model.noise_schedule(*resolved.size, resolved.model_options)
        sigmas = noise_levels(resolved, schedule)
        in_pairs = resolved.sampler.info.needs_unconditional
        guided: Guided = guide.over(resolved, sigmas, in_pairs=in_pairs)
        if resolved.refiner and resolved.request.refiner:
            refiner = replace(resolved.refiner, request=sized_as(resolved, resolved.refiner))
            guides.append(self._refiner(refiner, model, prompts, view))
            then = guides[-1].over(refiner, sigmas, in_pairs=in_pairs)
            guided = HandOff(guided, then, level_of(resolved.request.refiner, sigmas, schedule))
        sampling = SamplingPass(
            guided, resolved.sampler, resolved.sampler_options, sigmas, schedule.convention
        )
        warnings = (
            *guidance_warnings(resolved, guide.guidance, sigmas),
            *(w for g in guides for w in g.warnings),
        )
        return PreparedPass(
            resolved=resolved,
            model=model,
            sampling=sampling,
            latent_shape=shape,
            models=tuple(each.kept.model for each in guides),
            working=max(each.working for each in guides),
            adapters=tuple(each.adapters for each in guides),
            start=start,
            embeddings=tuple(found for each in guides for found in each.embeddings),
            warnings=warnings,
        )

    def _refiner(self, resolved: ResolvedRequest, before: LoadedModel, prompts: Prompts, view: View) -> Guide:
        kept = self.load(resolved)
        check_hand_off(before, kept.model)
        return self._guide(resolved, kept, prompts, view, others_prompt=True)

    def _takes_over_prompt(self, resolved: ResolvedRequest) -> bool:
        """Whether its prompt was written for another model."""
        first = self._first
        return resolved.info.path != first.info.path and resolved.request.prompt == first.request.prompt

    def load(self, resolved: ResolvedRequest) -> KeptModel:
        """The model of a pass, its weights wherever they are."""
        dtypes = part_dtypes(resolved.family.options, resolved.model_options)
        files = named_parts(resolved.request.parts, self._context.library)
        where = placement(self._settings, dtypes, files)
        label = resolved.info.label or resolved.info.name
        self._context.events.emit(PhaseStarted(phase="loading", detail=label))
        self._residency.begin("loading")
        with memory_errors_explained(
            f"The memory ran out while '{resolved.info.name}' was loaded.",
            f"{CLOSE}, or compute in a smaller type: sfumato settings set engine.dtype bfloat16",
        ):
            with self._residency.off_the_device():
                kept = self._manager.load(resolved.info, resolved.family, where, self._context.library)
            self._models.append(kept.model)
            self._manager.forget_dropped(self._models)
            self._residency.take_in(kept.model)
        return kept

    def _drop_others(self) -> int:
        return self._manager.drop_others(self._models)

    def _guide(
        self,
        resolved: ResolvedRequest,
        kept: KeptModel,
        prompts: Prompts,
        view: View,
        *,
        others_prompt: bool,
    ) -> Guide:
        """Prompts encoded for a model, with the adapters in force that they name.

        Args:
            others_prompt: The prompt is another model's: what in it does not fit this one is left out.
        """
        context, request = self._context, resolved.request
        _, h, w = latent_shape(resolved, kept.model)
        positions = request.batch_size * h * w
        passes = passes_side_by_side(self._settings.cfg_batching, prompts.count, positions)
        check_memory(kept.model, resolved, self._settings, prompts.count, self._residency, self._drop_others)
        size = w * kept.model.latent_format.pixels_per_latent, h * kept.model.latent_format.pixels_per_latent
        asked = kept.model, resolved, self._settings, prompts.count, (*size, request.batch_size)
        self._residency.begin("encoding")
        self._residency.settle(kept.model, working_memory(*asked))
        self._residency.enter("encoding", [kept.model], encoding_memory(kept.model, resolved))
        adapters = PassAdapters(context, kept.model, prompts.uses, skip_unfit=others_prompt)
        adapters.apply()
        self._residency.foretell_again("encoding", [kept.model], encoding_memory(kept.model, resolved))
        embeddings = adapters.embeddings(prompts.texts)
        context.events.emit(PhaseStarted(phase="encoding"))
        encoder = encoder_of(resolved, kept, self._manager, context.cancel, adapters, embeddings)
        regions = read_regions(request.regions, len(prompts.positive.parts), (w, h), kept.model.device)
        guidance = replace(guided_by(prompts, resolved, encoder, one_batch=passes > 1), regions=regions)
        unused = [f"{tag} has no effect: nothing applies it." for tag in adapters.unanswered]
        unused += parts_without_effect(request, kept.model)
        warnings = (*unused, *adapters.notes, *prompts.warnings, *guidance.notes)
        if kept.model.info.sees_picture:
            self._residency.enter(
                "decoding", [kept.model], decoding_memory(kept.model, self._settings, (*size, 1))
            )
        seen = view.shown_to(kept.model)
        return Guide(kept, guidance, adapters, embeddings, seen, sampling_memory(*asked), warnings)


def fitted(resolved: ResolvedRequest, model: LoadedModel) -> ResolvedRequest:
    """A hires pass at the nearest smaller size that its model can draw; other sizes are the user's own."""
    if not resolved.is_hires:
        return resolved
    multiple = model.latent_format.size_multiple
    width, height = (max(side // multiple, 1) * multiple for side in resolved.size)
    request = resolved.request.model_copy(update={"width": width, "height": height})
    return replace(resolved, request=request)


def sized_as(resolved: ResolvedRequest, refiner: ResolvedRequest) -> Any:
    """The refiner's request at the size of the pass that it takes part in."""
    width, height = resolved.size
    return refiner.request.model_copy(update={"width": width, "height": height})


def check_hand_off(before: LoadedModel, after: LoadedModel) -> None:
    """Raises `BadInput` where one model's latents mean nothing to the other."""
    formats = before.latent_format, after.latent_format
    same = formats[0].channels == formats[1].channels and formats[0].name == formats[1].name
    conventions = before.info.prediction == "flow", after.info.prediction == "flow"
    if not same or conventions[0] != conventions[1]:
        raise BadInput(
            f"'{after.info.name}' cannot refine what '{before.info.name}' draws.",
            why="Their latents are of different kinds.",
            hint="Choose a refiner of the same family, such as the SDXL refiner for an SDXL model.",
        )


def parts_without_effect(request: GenerationRequest, model: LoadedModel) -> list[str]:
    """The files that were named for parts of a kind that the model does not have."""
    return [
        f"The file for the part '{kind}' has no effect: '{model.info.name}' has {', '.join(model.files)}."
        for kind in request.parts
        if kind not in model.files
    ]


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


def encoder_of(
    resolved: ResolvedRequest,
    kept: KeptModel,
    manager: ModelManager,
    cancel: CancelToken,
    adapters: PassAdapters,
    embeddings: tuple[TextEmbedding, ...],
) -> Encoder:
    """The model's text encoders as the request wants them; cancelled between one prompt and the next."""
    options: dict[str, Any] = resolved.model_options

    def encode(text: PromptText) -> Any:
        cancel.check()
        return kept.model.condition(text, options)

    return Encoder(
        cache=manager.conditioning,
        identity=(kept.identity, adapters.text_identity),
        options=encoding_options(resolved.family.options, options),
        emphasis=resolved.request.emphasis,
        clip_skip=resolved.clip_skip,
        encode=encode,
        embeddings=embeddings,
    )


def guided_by(prompts: Prompts, resolved: ResolvedRequest, encoder: Encoder, *, one_batch: bool) -> Guidance:
    """What steers the pictures, all prompts encoded."""
    request, negative = resolved.request, prompts.negative
    return Guidance(
        parts=encoder.parts(prompts.positive),
        negative=encoder.parts(negative, is_negative=True)[0].timeline if negative else None,
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
