"""Enlarging pictures: the upscalers, the face restorer, the text, the file."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from PIL.Image import Image
from torch import Tensor

from sfumato.errors import BadInput, Cancelled, CheckpointError, OutOfMemory, SfumatoError
from sfumato.events import ImageSaved, ImageSaving, PhaseStarted, StepCompleted, Warned
from sfumato.records import ImageRecord
from sfumato.request import RANDOM_SEED, GenerationRequest, UpscaleRequest
from sfumato.tasks import TaskContext
from sfumato.upscaling import FoundUpscaler, SkippedPicture, UpscaleContext, find_upscaler
from sfumato_pictures import infotext
from sfumato_pictures.file_names import harmless
from sfumato_pictures.formats import encode_picture
from sfumato_pictures.metadata import PARAMETERS
from sfumato_pictures.reading import Picture, read_picture
from sfumato_pictures.saving import PictureFolder
from sfumato_pictures.settings import SavingSettings
from sfumato_upscalers import extras_text
from sfumato_upscalers.computing import chosen_device
from sfumato_upscalers.sizes import crop_window, enlarged_size

NONE = "none"
"""Leaves a picture as it is, as in A1111's extras; in hires fix it is an upscaler like the others."""
SHORTAGE = ("not enough memory", "can't allocate memory", "out of memory")
"""What torch says of a lack of memory."""


class Enlarging:
    """One request being carried out.

    Raises:
        BadInput: an upscaler or face restorer is unknown, or does not work on pictures.
        SfumatoError: the output folder cannot be written to.
    """

    def __init__(self, request: UpscaleRequest, context: TaskContext) -> None:
        self._request = request
        self._context = context
        self._upscaler = self._found(request.upscaler)
        mixed = request.second_visibility > 0 and self._upscaler
        self._second = self._found(request.second_upscaler or NONE) if mixed else None
        self._face_restorer = (
            context.registries.face_restorers.get(request.face_restorer) if request.face_restorer else None
        )
        self._device = chosen_device(context.settings)
        self._saving: SavingSettings = getattr(context.settings, "saving", None) or SavingSettings()
        self._finished = list(context.finished)
        self._folder = PictureFolder(context.output_folder, numbered=self._saving.number_files)

    def _found(self, name: str) -> FoundUpscaler | None:
        """The upscaler of that name; None for `NONE`."""
        found = find_upscaler(name, self._context.registries, self._context.library)
        if found.entry.info.name == NONE:
            return None
        if found.entry.info.works_on != "pixels":
            raise BadInput(
                f"'{found.label}' enlarges latents, not pictures.",
                hint="Choose another: 'sfumato upscalers' lists them.",
            )
        return found

    def run(self, paths: list[Path]) -> tuple[list[ImageRecord], list[SkippedPicture]]:
        """Enlarge and save the pictures of these files.

        Raises:
            Cancelled: between tiles or pictures; those saved before are kept.
            SfumatoError: what would befall every picture, or befell all there are.
        """
        images: list[ImageRecord] = []
        failures: list[tuple[Path, SfumatoError]] = []
        for number, path in enumerate(paths):
            self._context.cancel.check()
            if self._context.cancel.ending == "interrupt":
                break
            self._context.events.emit(PhaseStarted(phase="upscaling", detail=path.name))
            try:
                images.append(self._one(path, number, len(paths)))
            except (Cancelled, CheckpointError):
                raise
            except SfumatoError as error:
                failures.append((path, error))
                self._context.events.emit(Warned(message=f"'{path.name}' is skipped: {error}"))
        if failures and not images:
            raise failures[0][1]
        return images, [SkippedPicture(path=path, reason=str(error)) for path, error in failures]

    def _one(self, path: Path, number: int, count: int) -> ImageRecord:
        picture = read_picture(path, largest_megapixels=self._saving.largest_megapixels)
        if self._finished:  # by an earlier attempt, which told of what it could not read as this one does
            return self._finished.pop(0)
        tiles = UpscaleContext(
            device=self._device,
            workspace=self._context.workspace,
            settings=self._context.settings,
            on_tile=self._tile_listener(number, count),
            cancel=self._context.cancel,
        )
        try:
            with torch.inference_mode():
                pixels = self._pixels(picture, tiles)
        except (MemoryError, RuntimeError) as error:
            if not isinstance(error, MemoryError) and not any(
                word in str(error).lower() for word in SHORTAGE
            ):
                raise
            raise OutOfMemory(
                f"The memory ran out at '{path.name}'.",
                hint="Lower --scale, or the tiles: sfumato settings set upscalers.tile 128",
            ) from error
        self._context.cancel.check()
        return self._saved(pixels, picture, path)

    def _tile_listener(self, number: int, count: int) -> Callable[[int, int], None]:
        def tell(done: int, total: int) -> None:
            event = StepCompleted(step=done, steps=total, batch=number, batches=count)
            self._context.events.emit(event)

        return tell

    def _pixels(self, picture: Picture, context: UpscaleContext) -> Tensor:
        """The finished picture, uint8 [h, w, 3], or 4 with alpha."""
        colours = _tensor(picture.colours)
        if not self._request.faces_last:
            colours = self._with_faces(colours, context)
        size = enlarged_size(*picture.size, self._request) if self._upscaler else picture.size
        enlarged = self._enlarged(_planes(colours), size, context)
        if picture.opacity is not None:
            grey = _tensor(picture.opacity).expand(-1, -1, 3)
            alpha = self._enlarged(_planes(grey), size, context).mean(dim=1, keepdim=True)
            enlarged = torch.cat([enlarged, alpha], dim=1)
        if self._upscaler is not None:
            rows, columns = crop_window(*size, self._request)
            enlarged = enlarged[..., rows, columns]
        pixels = _bytes(enlarged)
        if self._request.faces_last:
            mended = self._with_faces(pixels[..., :3].contiguous(), context)
            pixels = torch.cat([mended, pixels[..., 3:]], dim=-1)
        return pixels

    def _enlarged(self, pixels: Tensor, size: tuple[int, int], context: UpscaleContext) -> Tensor:
        """Pixels [1, 3, h, w] in 0..1, by the first upscaler and, where asked for, mixed with the second."""
        if self._upscaler is None:
            return pixels
        found = self._by(self._upscaler, pixels, size, context)
        if self._second is None:
            return found
        other = self._by(self._second, pixels, size, context)
        return found.lerp(other, self._request.second_visibility)

    def _by(
        self, upscaler: FoundUpscaler, pixels: Tensor, size: tuple[int, int], context: UpscaleContext
    ) -> Tensor:
        width, height = size
        with upscaler.entry.answerable("enlarge the picture"):
            call = upscaler.entry.load()
            made: Tensor = call(pixels, width, height, replace(context, path=upscaler.path))
            if made.shape != (*pixels.shape[:2], height, width):
                raise ValueError(f"it made {list(made.shape)} of {list(pixels.shape)}")
        if not made.isfinite().all():
            raise SfumatoError(
                f"'{upscaler.label}' made no numbers (NaN) of the picture.",
                why="Its file is damaged, or the compute type too narrow for it.",
                hint="Try: sfumato settings set upscalers.dtype float32, or get the file again.",
            )
        return made.float().cpu()

    def _with_faces(self, pixels: Tensor, context: UpscaleContext) -> Tensor:
        """Uint8 [h, w, 3] to the same, with faces mended as far as they are to be seen."""
        entry, share = self._face_restorer, self._request.face_visibility
        if entry is None or share == 0:
            return pixels
        with entry.answerable("mend faces"):
            mended: Tensor = entry.load()(pixels.clone(), {}, context)
            if mended.shape != pixels.shape or mended.dtype != torch.uint8:
                raise ValueError(f"it made {mended.dtype} {list(mended.shape)} of {list(pixels.shape)}")
        return pixels.float().lerp(mended.cpu().float(), share).round_().to(torch.uint8)

    def _saved(self, pixels: Tensor, picture: Picture, path: Path) -> ImageRecord:
        done = extras_text.fields(
            self._request,
            self._upscaler.label if self._upscaler else None,
            self._second.label if self._second else None,
            self._face_restorer.info.label if self._face_restorer else None,
        )
        texts = extras_text.texts(picture.metadata, done)
        height, width, _ = pixels.shape
        encoded = encode_picture(
            pixels.contiguous(),
            texts,
            format=self._saving.format,
            quality=self._saving.quality,
            lossless=self._saving.webp_lossless,
        )
        told, emit = infotext.read(picture.metadata.parameters), self._context.events.emit

        def record(saved: Path) -> ImageRecord:
            return ImageRecord(
                path=saved,
                seed=_seed(told.fields.get("Seed", "")),
                width=width,
                height=height,
                infotext=texts.get(PARAMETERS) or texts.get(extras_text.POSTPROCESSING, ""),
                request=GenerationRequest(prompt=told.prompt, negative_prompt=told.negative_prompt),
            )

        saved = self._folder.save(
            encoded.content,
            harmless(path.stem),
            encoded.suffix,
            announce=lambda path: emit(ImageSaving(image=record(path))),
        )
        for warning in encoded.warnings:
            emit(Warned(message=f"'{saved.name}': {warning}"))
        emit(ImageSaved(image=record(saved)))
        return record(saved)


def _tensor(image: Image) -> Tensor:
    """A grey or RGB picture as uint8 [h, w, channels]."""
    width, height = image.size
    return torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8).view(height, width, -1)


def _planes(pixels: Tensor) -> Tensor:
    """Uint8 [h, w, 3] to [1, 3, h, w] in 0..1."""
    return pixels.permute(2, 0, 1)[None].float() / 255


def _bytes(planes: Tensor) -> Tensor:
    """[1, c, h, w] in 0..1 to uint8 [h, w, c]."""
    return planes[0].permute(1, 2, 0).mul(255).round_().clamp_(0, 255).to(torch.uint8)


def _seed(text: str) -> int:
    """The seed that an infotext tells; -1 where it tells none that could be one."""
    return int(text) if re.fullmatch("[0-9]{1,20}", text) else RANDOM_SEED
