"""Finished pictures on disk, each with its story, under the name that the settings ask for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from torch import Tensor

from sfumato.events import ImageSaving
from sfumato.records import ImageRecord
from sfumato.tasks import TaskContext
from sfumato_engine.provenance import AUTOENCODER, Provenance
from sfumato_engine.resolution import ResolvedRequest
from sfumato_engine.saving import saving_settings
from sfumato_pictures.metadata import PARAMETERS, STORY
from sfumato_pictures.reading import read_picture
from sfumato_pictures.sheet import contact_sheet, rows_for
from sfumato_pictures.writer import PictureWriter


class Recorder:
    """Saves the pictures of one request.

    Raises:
        SfumatoError: the output folder cannot be made or written to.
    """

    def __init__(self, resolved: ResolvedRequest, context: TaskContext) -> None:
        self._resolved = resolved
        self._started = datetime.now().astimezone()
        self._settings = saving_settings(context)
        self._writer = PictureWriter(context.output_folder, self._settings)
        self._emit = context.events.emit

    def save(
        self, pixels: Tensor, number: int, provenance: Provenance
    ) -> tuple[ImageRecord, tuple[str, ...]]:
        """Write picture number `number` of the request, from 0.

        Args:
            pixels: uint8 [h, w, 3] on the CPU.

        Returns:
            Its record, and what could not be kept of it, in words.

        Raises:
            SfumatoError: the disk is full or the folder not writable; nothing is left behind then.
        """
        resolved = self._resolved
        seed = resolved.seed(number)
        variation_seed = resolved.variation_seed(number) if resolved.request.variation_strength else None
        infotext = provenance.infotext(seed, variation_seed)
        texts = {PARAMETERS: infotext, STORY: provenance.json(seed, variation_seed)}
        height, width, _ = pixels.shape

        def record(path: Path) -> ImageRecord:
            return ImageRecord(
                path=path, seed=seed, width=width, height=height, infotext=infotext, request=resolved.request
            )

        saved = self._writer.save(
            pixels.numpy(),
            texts,
            self._known(number, provenance),
            announce=lambda path: self._emit(ImageSaving(image=record(path))),
        )
        return record(saved.path), saved.warnings

    def save_sheet(self, images: Sequence[ImageRecord]) -> Path | None:
        """All pictures on one, where the settings ask for it and there are several.

        Raises:
            SfumatoError: it would be too large, or cannot be written; the pictures are kept.
        """
        settings = self._settings
        if not settings.save_contact_sheets or len(images) < 2:
            return None
        rows = rows_for(len(images), batch_size=self._resolved.request.batch_size)
        pixels = contact_sheet(
            [
                read_picture(image.path, largest_megapixels=settings.largest_megapixels).pixels
                for image in images
            ],
            rows=rows,
            largest_megapixels=settings.grid_megapixels,
        )
        first = images[0]
        known = {"seed": first.seed, "prompt": first.request.prompt, "model": self._resolved.info.name}
        saved = self._writer.save(pixels, {PARAMETERS: first.infotext}, known, format=settings.grid_format)
        return saved.path

    def _known(self, number: int, provenance: Provenance) -> dict[str, Any]:
        """What placeholders of file names stand for, see `sfumato_pictures.placeholders`."""
        request, resolved = self._resolved.request, self._resolved
        asked = resolved.asked
        vae = provenance.parts.get(AUTOENCODER, ())
        return {
            "seed": resolved.seed(number),
            "steps": request.steps,
            "cfg": request.cfg_scale,
            "model": resolved.info.name,
            "model_hash": provenance.model_hash,
            "sampler": resolved.sampler.info.label,
            "scheduler": resolved.scheduler.info.label,
            "prompt": request.prompt,
            "negative_prompt": request.negative_prompt,
            "prompt_no_styles": asked.prompt,
            "styles": asked.styles,
            "batch_number": number % request.batch_size + 1,
            "batch_size": request.batch_size,
            "generation_number": number + 1,
            "image_total": request.image_total,
            "clip_skip": request.clip_skip,
            "denoising": denoising_strength(resolved),
            "vae": vae[0].name if vae else None,
            "started": self._started,
        }


def denoising_strength(resolved: ResolvedRequest) -> float | None:
    """That of the last pass over a picture; None where all came from noise."""
    for one in (resolved.hires, resolved):
        if one and one.denoising:
            return one.denoising.strength
    return None
