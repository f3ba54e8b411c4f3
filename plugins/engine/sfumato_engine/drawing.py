"""The batches of a request: noise, sampling, decoding, saving."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, wait
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from sfumato.errors import OutOfMemory, SfumatoError
from sfumato.events import ImageSaved, PhaseStarted, Warned
from sfumato.models import LatentFormat
from sfumato.records import GenerationResult, ImageRecord
from sfumato.registry import Entry
from sfumato.tasks import TaskContext
from sfumato.upscaling import FaceRestorerInfo, FoundUpscaler, UpscaleContext, find_upscaler
from sfumato_engine.adapters import release_adapters
from sfumato_engine.background import in_background
from sfumato_engine.blame import blamed, failure
from sfumato_engine.decoding import LATENTS_HINT, check_finite, decoded
from sfumato_engine.enlarging import enlarged
from sfumato_engine.measuring import measured
from sfumato_engine.memory import CLOSE, LOWER, memory_errors_explained
from sfumato_engine.model_manager import ModelManager
from sfumato_engine.no_effect import without_effect
from sfumato_engine.noise.image_noise import ImageNoise
from sfumato_engine.noise.settings import NoiseSettings
from sfumato_engine.preparation import Prepared, PreparedPass, prepare
from sfumato_engine.preview import Preview, preview_by
from sfumato_engine.progress import Progress
from sfumato_engine.provenance import Provenance, trace
from sfumato_engine.recording import Recorder
from sfumato_engine.resolution import ResolvedRequest
from sfumato_engine.settings import EngineSettings
from sfumato_engine.stages import is_like
from sfumato_engine.start.masked import KeptAround
from sfumato_engine.tiling import wrapped_around

STORY_PATIENCE = 5.0
"""Seconds to wait for the background thread when drawing ends early: one that is still running while the
interpreter shuts down can abort the program."""

RETRIED = (
    "The memory ran out. It was tried once more with less of the model on the device, which takes longer."
)


def hires_upscaler(resolved: ResolvedRequest, context: TaskContext) -> FoundUpscaler | None:
    """What enlarges the picture between the passes; raises `UnknownName`."""
    hires = resolved.request.hires
    return find_upscaler(hires.upscaler, context.registries, context.library) if hires else None


def face_restorer(resolved: ResolvedRequest, context: TaskContext) -> Entry[FaceRestorerInfo] | None:
    """What mends faces; raises `UnknownName`."""
    name = resolved.request.face_restorer
    return context.registries.face_restorers.get(name) if name else None


def draw(resolved: ResolvedRequest, context: TaskContext, started: float) -> GenerationResult:
    """Draw and save all pictures of a request, batch by batch.

    Where the memory runs out all the same, what is left is tried once more with less on the device.

    Args:
        started: When the request came, by `time.monotonic`.
    """
    settings: EngineSettings = context.settings.engine
    manager = ModelManager.of(context.workspace, settings)
    residency = manager.residency(settings)
    rest = manager.idle.at_work(settings.idle_minutes * 60, manager.free_device)
    with rest, torch.inference_mode(), residency.at_work(partial(release_adapters, context)) as telemetry:
        drawing, shortage = _attempt(resolved, context)
        if shortage is not None:
            residency.tighten()
            again = replace(context, finished=tuple(drawing.images))
            drawing, shortage = _attempt(resolved, again, [*drawing.warnings, RETRIED])
        if shortage is not None:
            raise shortage
        telemetry.end()
        if not (context.finished or drawing.cut_short):  # a part of it would be told as the whole
            context.events.emit(measured(resolved, context, residency, time.monotonic() - started))
    return GenerationResult(
        images=tuple(drawing.images),
        sheet=drawing.sheet,
        seconds=time.monotonic() - started,
        sampling_seconds=drawing.sampling_seconds,
        warnings=tuple(drawing.warnings),
    )


def _attempt(
    resolved: ResolvedRequest, context: TaskContext, told: Sequence[str] = ()
) -> tuple[Drawing, OutOfMemory | None]:
    """One attempt at all pictures, and the error where memory ran out in the midst of it.

    Args:
        told: What the user was told by an attempt before; the last is new.
    """
    drawing = Drawing(resolved, context)
    drawing.warnings += told[:-1]
    drawing.warn(told[-1:])
    width, height = resolved.size
    explained = memory_errors_explained(
        f"The memory ran out at {resolved.request.batch_size} x {width}x{height} pixels.",
        f"{LOWER}, or {CLOSE.lower()}; finished pictures were kept.",
    )
    try:
        with explained:
            drawing.run(prepare(resolved, context))
    except OutOfMemory as error:
        if error.__cause__ is None:  # it was foreseen, not met
            raise
        # Without its traceback, which holds on to all that lay on the device.
        return drawing, OutOfMemory(error.what, why=error.why, hint=error.hint)
    return drawing, None


class Drawing:
    """One request being drawn.

    Attributes:
        images: The pictures saved so far, by an earlier attempt too.
        sheet: All of them on one, once they are drawn and where the settings ask for it.
        warnings: What the user was told so far.
        sampling_seconds: Wall time spent in samplers so far.
        cut_short: Whether the user has ended a batch or all early.
    """

    def __init__(self, resolved: ResolvedRequest, context: TaskContext) -> None:
        self.images: list[ImageRecord] = list(context.finished)
        self.sheet: Path | None = None
        self.warnings: list[str] = []
        self.sampling_seconds = 0.0
        self.cut_short = False
        self._resolved = resolved
        self._context = context
        self._recorder = Recorder(resolved, context)
        settings = context.settings.engine
        self._residency = ModelManager.of(context.workspace, settings).residency(settings)
        self._upscaler = hires_upscaler(resolved, context)
        self._face_restorer = face_restorer(resolved, context)
        self.warn(without_effect(resolved))

    def run(self, prepared: Prepared) -> None:
        """All batches; raises `Cancelled` between steps, with the pictures of earlier batches saved."""
        request = self._resolved.request
        story = in_background(lambda: trace(self._resolved, prepared, self._context))
        self._progress = self._progress_of(prepared)
        self._previews = self._previews_of(prepared)
        self.warn(prepared.warnings)
        models = [model for one in prepared.passes for model in one.models]
        try:
            for batch in range(len(self.images) // request.batch_size, request.count):
                end = (batch + 1) * request.batch_size
                numbers = range(max(batch * request.batch_size, len(self.images)), end)
                self._progress.start_batch(batch)
                with wrapped_around(models, wanted=request.tiling):
                    latents, by = self._draw_batch(prepared, numbers)
                    self._phase("decoding")
                    self._residency.begin("decoding")
                    for number, pixels in zip(
                        numbers, decoded(by.model, latents, self._context), strict=True
                    ):
                        self._save(self._finished(prepared, pixels, latents, number, numbers), number, story)
                if self._ended_early():
                    break
            self.sheet = self._saved_sheet()
        finally:
            wait([story], STORY_PATIENCE)

    def _saved_sheet(self) -> Path | None:
        """A sheet that cannot be is told: the pictures are there."""
        try:
            return self._recorder.save_sheet(self.images)
        except SfumatoError as error:
            self.warn([f"There is no contact sheet: {error}"])
            return None

    def _progress_of(self, prepared: Prepared) -> Progress:
        return Progress(
            self._context.events,
            sum(one.sampling.steps for one in prepared.passes),
            self._resolved.request.count,
            preview_every=self._context.settings.engine.preview_every,
        )

    def _previews_of(self, prepared: Prepared) -> dict[LatentFormat, Preview]:
        """One for each kind of latents among the passes."""
        devices = {one.model.latent_format: one.model.device for one in prepared.passes}
        return {kind: preview_by(kind, device, self._context) for kind, device in devices.items()}

    def _ended_early(self) -> bool:
        """Whether no further batch is to begin; the end of one batch alone is past with it."""
        cancel = self._context.cancel
        self.cut_short = self.cut_short or bool(cancel.ending)
        if cancel.ending == "skip":
            cancel.ending = ""
        return cancel.ending == "interrupt"

    def _draw_batch(self, prepared: Prepared, numbers: Sequence[int]) -> tuple[Tensor, PreparedPass]:
        """Clean latents of the pictures with these numbers, and the pass that they come from, the last one
        unless the work is to end early."""
        first, hires, drawn_by = prepared.first, prepared.hires, prepared.first
        latents = self._sample(prepared, first, numbers, None)
        if hires is not None and self._upscaler is not None and not self._context.cancel.ending:
            self._phase("enlarging", self._upscaler.label)
            self._residency.begin("enlarging")
            larger = enlarged(latents, first, hires, self._upscaler, self._context)
            self._progress.steps_before = first.sampling.steps
            latents = self._sample(prepared, hires, numbers, larger)
            self._progress.steps_before = 0
            drawn_by = hires
        latents = prepared.stages.latents(latents, self._seeds(numbers))
        check_finite(latents, LATENTS_HINT)
        return latents, drawn_by

    def _sample(
        self, prepared: Prepared, one: PreparedPass, numbers: Sequence[int], original: Tensor | None
    ) -> Tensor:
        """Clean latents after one pass over the pictures with these numbers.

        Args:
            original: What the pass before has left, [b, c, h, w].
        """
        self._phase("sampling")
        self._residency.begin("sampling")
        self._residency.enter("sampling", one.models, one.working)
        self._progress.preview = self._previews[one.model.latent_format]
        started = time.monotonic()
        for adapters in one.adapters:
            adapters.apply()
        self._residency.foretell_again("sampling", one.models, one.working)
        alone = one.resolved.sampler.info.one_by_one
        groups = [[place] for place in range(len(numbers))] if alone else [list(range(len(numbers)))]
        latents = torch.cat(
            [
                self._sample_together(
                    prepared,
                    one,
                    [numbers[place] for place in group],
                    None if original is None else original[group],
                )
                for group in groups
            ]
        )
        check_finite(latents, LATENTS_HINT)
        self.sampling_seconds += time.monotonic() - started
        return latents

    def _sample_together(
        self, prepared: Prepared, one: PreparedPass, numbers: Sequence[int], original: Tensor | None
    ) -> Tensor:
        noise, start, request = self._noise(one, numbers), one.start, self._resolved.request
        if start is not None:
            original = start.filled_with(self._noise(one, numbers).initial())
        keep = None
        if start is not None and start.mask is not None and original is not None:
            soft = request.inpaint.soft if request.inpaint else None
            keep = KeptAround(original, start.mask, soft)
        latents = one.sampling.run(
            noise,
            self._progress.step,
            self._context.cancel,
            lambda denoise: prepared.stages.denoise(denoise, self._seeds(numbers)),
            original,
            noise_multiplier=request.img2img.noise_multiplier if start and request.img2img else 1.0,
            keep=keep,
        )
        return latents if keep is None or keep.soft else keep(latents, 0.0)

    def _finished(
        self, prepared: Prepared, pixels: Tensor, latents: Tensor, number: int, numbers: Sequence[int]
    ) -> Tensor:
        """A decoded picture, with what it was painted into around it and after the stages of plugins."""
        start, request = prepared.first.start, self._resolved.request
        if start is not None:
            soft = request.inpaint.soft if request.inpaint else None
            pixels = start.finished(pixels, latents[numbers.index(number)], soft)
        pixels = self._faces_restored(pixels, prepared.last.model.device)
        return prepared.stages.picture(pixels, self._resolved.seed(number))

    def _faces_restored(self, pixels: Tensor, device: str) -> Tensor:
        if self._face_restorer is None:
            return pixels
        entry, told = self._face_restorer, self._context
        context = UpscaleContext(device, told.workspace, told.settings, cancel=told.cancel)
        with blamed("face restorer", entry):
            restored = entry.load()(pixels, {}, context)
        if not is_like(restored, pixels):
            raise failure("face restorer", entry, "It gave back no picture of the same size.")
        return restored

    def _seeds(self, numbers: Sequence[int]) -> tuple[int, ...]:
        return tuple(self._resolved.seed(number) for number in numbers)

    def _noise(self, one: PreparedPass, numbers: Sequence[int]) -> ImageNoise:
        request, sigmas = one.resolved.request, one.sampling.sigmas
        pixels = one.model.latent_format.pixels_per_latent
        _, h, w = one.latent_shape
        resize_from = request.seed_resize_height // pixels or h, request.seed_resize_width // pixels or w
        settings = NoiseSettings(
            seeds=self._seeds(numbers),
            variation_seeds=tuple(self._resolved.variation_seed(number) for number in numbers),
            variation_strength=request.variation_strength,
            resize_from=resize_from if resize_from != (h, w) else None,
            seed_delta=request.noise_seed_delta,
            source=request.noise_source,
            step_noise=request.step_noise if one.resolved.sampler.info.interval_noise else "path",
        )
        above_zero = [sigma for sigma in sigmas if sigma > 0] or [1.0]
        levels = min(above_zero), max(above_zero)
        return ImageNoise(settings, one.latent_shape, one.model.device, levels)

    def _save(self, pixels: Tensor, number: int, story: Future[Provenance]) -> None:
        provenance = story.result()
        if len(self.images) == len(self._context.finished):
            self.warn(provenance.warnings)
        record, not_kept = self._recorder.save(pixels, number, provenance)
        self.warn(warning for warning in not_kept if warning not in self.warnings)
        self.images.append(record)
        self._context.events.emit(ImageSaved(image=record))

    def warn(self, messages: Iterable[str]) -> None:
        """Tell the user, once each."""
        for message in messages:
            if message not in self.warnings:
                self.warnings.append(message)
                self._context.events.emit(Warned(message=message))

    def _phase(self, phase: str, detail: str = "") -> None:
        self._context.events.emit(PhaseStarted(phase=phase, detail=detail))
