"""The batches of a request: noise, sampling, decoding, saving."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, wait
from datetime import date

import torch
from torch import Tensor

from sfumato.errors import SfumatoError
from sfumato.events import ImageSaved, PhaseStarted, Warned
from sfumato.models import LoadedModel
from sfumato.records import GenerationResult, ImageRecord
from sfumato.tasks import TaskContext
from sfumato_engine.background import in_background
from sfumato_engine.batching import decoded_side_by_side
from sfumato_engine.device import device_label
from sfumato_engine.memory import CLOSE, LOWER, memory_errors_explained
from sfumato_engine.no_effect import without_effect
from sfumato_engine.noise.image_noise import ImageNoise
from sfumato_engine.noise.settings import NoiseSettings
from sfumato_engine.preparation import Prepared, prepare
from sfumato_engine.preview import previews
from sfumato_engine.progress import Progress
from sfumato_engine.provenance import Provenance, trace
from sfumato_engine.resolution import ResolvedRequest
from sfumato_pictures import file_names
from sfumato_pictures.png import PARAMETERS, STORY, encode_png
from sfumato_pictures.saving import PictureFolder

STORY_PATIENCE = 5.0
"""Seconds to wait for the background thread when drawing ends early: one that is still running while the
interpreter shuts down can abort the program."""

LATENTS_HINT = "Lower weights and scales, or try: sfumato settings set engine.dtype float32"
DECODER_HINT = (
    "Compute the autoencoder (VAE) in bfloat16 or float32, by the model's option for it, or all parts by: "
    "sfumato settings set engine.dtype bfloat16"
)


def draw(resolved: ResolvedRequest, context: TaskContext, started: float) -> GenerationResult:
    """Draw and save all pictures of a request, batch by batch.

    Args:
        started: When the request came, by `time.monotonic`.
    """
    drawing = Drawing(resolved, context)
    width, height = resolved.size
    shortage = memory_errors_explained(
        f"The memory ran out at {resolved.request.batch_size} x {width}x{height} pixels.",
        f"{LOWER}, or {CLOSE.lower()}; finished pictures were kept.",
    )
    with torch.inference_mode(), shortage:
        drawing.run(prepare(resolved, context))
    return GenerationResult(
        images=tuple(drawing.images),
        seconds=time.monotonic() - started,
        sampling_seconds=drawing.sampling_seconds,
        warnings=tuple(drawing.warnings),
    )


class Drawing:
    """One request being drawn.

    Attributes:
        images: The pictures saved so far.
        warnings: What the user was told so far.
        sampling_seconds: Wall time spent in samplers so far.
    """

    def __init__(self, resolved: ResolvedRequest, context: TaskContext) -> None:
        self.images: list[ImageRecord] = []
        self.warnings: list[str] = []
        self.sampling_seconds = 0.0
        self._resolved = resolved
        self._context = context
        self._folder = PictureFolder(context.output_folder)
        self._warn(without_effect(resolved))

    def run(self, prepared: Prepared) -> None:
        """All batches; raises `Cancelled` between steps, with the pictures of earlier batches saved."""
        request, library = self._resolved.request, self._context.library
        parts, device = prepared.model.files, device_label(prepared.model.device)
        story = in_background(lambda: trace(self._resolved, library, parts, device, self._context))
        progress = self._progress(prepared)
        self._warn(prepared.warnings)
        try:
            for batch in range(request.count):
                numbers = range(batch * request.batch_size, (batch + 1) * request.batch_size)
                progress.start_batch(batch)
                latents = self._sample(prepared, numbers, progress)
                self._phase("decoding")
                for number, pixels in zip(numbers, decoded(prepared.model, latents), strict=True):
                    picture = prepared.stages.picture(pixels, self._resolved.seed(number))
                    self._save(picture, number, story)
        finally:
            wait([story], STORY_PATIENCE)

    def _progress(self, prepared: Prepared) -> Progress:
        return Progress(
            self._context.events,
            prepared.sampling.steps,
            self._resolved.request.count,
            preview=lambda denoised: previews(denoised, prepared.model.latent_format),
            preview_every=self._context.settings.engine.preview_every,
        )

    def _sample(self, prepared: Prepared, numbers: Sequence[int], progress: Progress) -> Tensor:
        """Clean latents of the pictures with these numbers."""
        self._phase("sampling")
        started = time.monotonic()
        groups = [[number] for number in numbers] if self._resolved.sampler.info.one_by_one else [numbers]
        latents = torch.cat([self._sample_together(prepared, group, progress) for group in groups])
        latents = prepared.stages.latents(latents, self._seeds(numbers))
        check_finite(latents, LATENTS_HINT)
        self.sampling_seconds += time.monotonic() - started
        return latents

    def _sample_together(self, prepared: Prepared, numbers: Sequence[int], progress: Progress) -> Tensor:
        noise = self._noise(prepared, numbers)
        return prepared.sampling.from_noise(
            noise,
            progress.step,
            self._context.cancel,
            lambda denoise: prepared.stages.denoise(denoise, self._seeds(numbers)),
        )

    def _seeds(self, numbers: Sequence[int]) -> tuple[int, ...]:
        return tuple(self._resolved.seed(number) for number in numbers)

    def _noise(self, prepared: Prepared, numbers: Sequence[int]) -> ImageNoise:
        request, sigmas = self._resolved.request, prepared.sampling.sigmas
        pixels = prepared.model.latent_format.pixels_per_latent
        _, h, w = prepared.latent_shape
        resize_from = request.seed_resize_height // pixels or h, request.seed_resize_width // pixels or w
        settings = NoiseSettings(
            seeds=self._seeds(numbers),
            variation_seeds=tuple(self._resolved.variation_seed(number) for number in numbers),
            variation_strength=request.variation_strength,
            resize_from=resize_from if resize_from != (h, w) else None,
            seed_delta=request.noise_seed_delta,
            source=request.noise_source,
            step_noise=request.step_noise if self._resolved.sampler.info.interval_noise else "path",
        )
        levels = min(sigma for sigma in sigmas if sigma > 0), max(sigmas)
        return ImageNoise(settings, prepared.latent_shape, prepared.model.device, levels)

    def _save(self, pixels: Tensor, number: int, story: Future[Provenance]) -> None:
        provenance = story.result()
        if not self.images:
            self._warn(provenance.warnings)
        request, seed = self._resolved.request, self._resolved.seed(number)
        variation_seed = self._resolved.variation_seed(number) if request.variation_strength else None
        height, width, _ = pixels.shape
        values = {"seed": seed, "model": self._resolved.info.name, "date": date.today().isoformat()}
        values |= {"width": width, "height": height, "prompt": request.prompt}
        name = file_names.render(self._context.settings.engine.file_name, values)
        infotext = provenance.infotext(seed, variation_seed)
        texts = {PARAMETERS: infotext, STORY: provenance.json(seed, variation_seed)}
        record = ImageRecord(
            path=self._folder.save(encode_png(pixels, texts), name),
            seed=seed,
            width=width,
            height=height,
            infotext=infotext,
            request=request,
        )
        self.images.append(record)
        self._context.events.emit(ImageSaved(image=record))

    def _warn(self, messages: Iterable[str]) -> None:
        for message in messages:
            self.warnings.append(message)
            self._context.events.emit(Warned(message=message))

    def _phase(self, phase: str) -> None:
        self._context.events.emit(PhaseStarted(phase=phase))


def decoded(model: LoadedModel, latents: Tensor) -> Iterator[Tensor]:
    """The pictures of latents [b, c, h, w], each uint8 [H, W, 3] on the CPU."""
    b, _, h, w = latents.shape
    for part in latents.split(decoded_side_by_side(b, b * h * w)):
        pixels = model.decode(part)
        check_finite(pixels, DECODER_HINT)
        colours = pixels.mul(255).round_().clamp_(0, 255).to(torch.uint8)
        yield from colours.permute(0, 2, 3, 1).contiguous().cpu()


def check_finite(numbers: Tensor, hint: str) -> None:
    """Raises `SfumatoError` for infinities or NaN in latents or pixels, which would be a black picture."""
    if not bool(torch.isfinite(numbers).all()):
        raise SfumatoError(
            "The picture came out as no numbers (NaN).",
            why="The compute type is too narrow for this model, or a prompt weight or scale is extreme.",
            hint=hint,
        )
