"""What a pass over a picture starts from: its latents, what may change in them, and what to do in the end."""

from __future__ import annotations

from dataclasses import dataclass

import numpy
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from torch import Tensor

from sfumato.errors import BadInput
from sfumato.models import LoadedModel
from sfumato.request import GenerationRequest, Img2Img, Inpaint, Outpaint, SoftInpaint
from sfumato.request.img2img import MaskedContent
from sfumato.tasks import TaskContext
from sfumato_engine.decoding import encoded
from sfumato_engine.start.colours import with_colours_of
from sfumato_engine.start.filling import filled
from sfumato_engine.start.masks import blurred, masked_area
from sfumato_engine.start.outpainting import canvas_of, mask_of
from sfumato_engine.start.overlay import Overlay
from sfumato_engine.start.picture_size import enough_for
from sfumato_engine.start.resizing import resized, with_edges
from sfumato_engine.start.soft import as_mask, changed_part
from sfumato_engine.start.view import View, pixels_of
from sfumato_pictures.reading import read_picture

ALIKE = 0.02
LEAST_WHITE = 0.1
"""Difference of proportions up to which a mask is taken to belong to a picture."""


@dataclass(frozen=True)
class Start:
    """What all pictures of a request start from.

    Attributes:
        latents: [1, c, h, w].
        mask: What is painted anew, [1, 1, h, w] in 0..1; None for all of it.
        content: What the masked part starts from.
        view: For models that see pictures; the one that draws, and its refiner.
        overlay: The original, laid over the result.
        colours: The picture whose colours the result is to have.
    """

    latents: Tensor
    view: View
    mask: Tensor | None = None
    content: MaskedContent = "original"
    overlay: Overlay | None = None
    colours: Image.Image | None = None

    def filled_with(self, noise: Tensor) -> Tensor:
        """The latents [b, c, h, w] of a batch, the masked part as its content asks, given starting noise."""
        latents = self.latents.expand(noise.shape)
        if self.mask is None or self.content in ("original", "fill"):
            return latents
        kept = latents * (1 - self.mask)
        return kept + noise * self.mask if self.content == "latent_noise" else kept

    def finished(self, pixels: Tensor, latents: Tensor, soft: SoftInpaint | None) -> Tensor:
        """A drawn picture, uint8 [h, w, 3] on the CPU, with the original around it.

        Args:
            latents: That it was decoded from, [c, h, w].
            soft: Shows the drawn picture where it differs from the original, not where the mask is white.
        """
        if self.overlay is None and self.colours is None:
            return pixels
        picture = Image.fromarray(pixels.numpy())
        if self.colours is not None:
            picture = with_colours_of(picture, self.colours)
        if self.overlay is not None:
            overlay = self.overlay
            if soft is not None and self.mask is not None:
                changed = changed_part(self.latents, latents[None], self.mask, soft)
                overlay = overlay.showing(as_mask(changed[0], picture.size))
            picture = overlay.over(picture)
        return torch.from_numpy(numpy.array(picture))


@dataclass(frozen=True)
class Layout:
    """A picture and its mask as they are to be drawn, both at the size of the pass.

    Attributes:
        picture: RGB.
        mask: Grey, softened; None where all is drawn.
        overlay: See `Start`.
    """

    picture: Image.Image
    mask: Image.Image | None = None
    overlay: Overlay | None = None


def start_from(
    request: GenerationRequest, model: LoadedModel, size: tuple[int, int], context: TaskContext
) -> Start | None:
    """What the request starts from; None for pure noise.

    Args:
        size: Width and height in pixels of what is drawn.
        context: Where the request is carried out; large pictures are encoded in parts.

    Raises:
        BadInput: a picture or mask cannot be read, they do not belong together, or nothing is masked.
    """
    start = request.img2img
    if start is None:
        return None
    picture = read_picture(start.image, background=start.background).image
    layout, content, weight = _layout(request, start, picture, size)
    source = layout.picture
    if layout.mask is not None and content != "original":
        # Latents beside the mask are to know nothing of what lay beneath it.
        source = filled(source, layout.mask)
    whole = start.resize_mode == "latent" and layout.mask is None
    latents = _encoded(model, picture if whole else source, size, context)
    soft = bool(request.inpaint and request.inpaint.soft)
    return Start(
        latents=latents,
        view=View(source, layout.mask, weight, greys=soft),
        mask=None if layout.mask is None else _latent_mask(layout.mask, latents, soft=soft),
        content=content,
        overlay=layout.overlay,
        colours=source if start.color_correction else None,
    )


def _layout(
    request: GenerationRequest, start: Img2Img, picture: Image.Image, size: tuple[int, int]
) -> tuple[Layout, MaskedContent, float]:
    """With the masked content, and how far inpainting models see the picture masked."""
    if request.outpaint is not None:
        return _outpainted(picture, request.outpaint, size), request.outpaint.content, 1.0
    if request.inpaint is None:
        return Layout(resized(picture, *size, start.resize_mode)), "original", 1.0
    inpaint = request.inpaint
    mask = _mask(inpaint, picture)
    if inpaint.area == "only_masked":
        layout = _only_masked(picture, mask, inpaint, size)
    else:
        picture, mask = (resized(each, *size, start.resize_mode) for each in (picture, mask))
        layout = Layout(picture, mask, Overlay(picture, _strengthened(mask)))
    return layout, inpaint.content, inpaint.conditioning_mask_weight


def _mask(inpaint: Inpaint, picture: Image.Image) -> Image.Image:
    """The mask at the picture's size, softened; some of it is not black."""
    mask = _painted(inpaint)
    proportions = [each.width / each.height for each in (mask, picture)]
    if abs(proportions[0] / proportions[1] - 1) > ALIKE:
        raise BadInput(
            "The mask does not belong to the picture.",
            why=f"The mask is {mask.width}x{mask.height}, the picture {picture.width}x{picture.height}.",
            hint="Give a mask of the picture's size, or of its proportions.",
        )
    if mask.size != picture.size:
        mask = mask.resize(picture.size, Image.Resampling.LANCZOS)
    if inpaint.invert:
        mask = ImageOps.invert(mask)
    if mask.getbbox() is None:
        why = "The inverted mask is all black." if inpaint.invert else "The mask is all black."
        raise nothing_to_paint(why, "Paint white what is to change.")
    mask = blurred(mask, inpaint.blur)
    if mask.getbbox() is None:
        why = f"Softened over {inpaint.blur:g} pixels, nothing of the mask is left."
        raise nothing_to_paint(why, "Paint a larger part white, or lower inpaint.blur.")
    return mask


def _painted(inpaint: Inpaint) -> Image.Image:
    """The mask as it was painted. As in A1111, opacity is all or nothing, unless greys are to count."""
    given = read_picture(inpaint.mask)
    if given.opacity is None:
        return given.colours.convert("L")
    return given.opacity if inpaint.soft else given.opacity.point(lambda value: 255 * (value > 128))


def nothing_to_paint(why: str, hint: str) -> BadInput:
    return BadInput("There is nothing to paint anew.", why=why, hint=hint)


def _only_masked(picture: Image.Image, mask: Image.Image, inpaint: Inpaint, size: tuple[int, int]) -> Layout:
    box = masked_area(mask, inpaint.padding, *size)
    part, part_mask = (resized(each.crop(box), *size, "fill") for each in (picture, mask))
    return Layout(part, part_mask, Overlay(picture, mask, box))


def _outpainted(picture: Image.Image, outpaint: Outpaint, size: tuple[int, int]) -> Layout:
    """At exactly the size that was asked for, even where what is drawn has to be a little larger."""
    canvas = canvas_of(picture, outpaint)
    if not any((outpaint.left, outpaint.right, outpaint.top, outpaint.bottom)):
        raise nothing_to_paint("No side is to be carried on.", "Give one, such as outpaint.right=128.")
    mask = blurred(mask_of(picture, outpaint), outpaint.blur)
    if size == enough_for(*canvas.size):
        right, bottom = size[0] - canvas.width, size[1] - canvas.height
        drawn, drawn_mask = (with_edges(each, 0, 0, right, bottom) for each in (canvas, mask))
        return Layout(drawn, drawn_mask, Overlay(canvas, _strengthened(mask), (0, 0, *size)))
    canvas, mask = (each.resize(size, Image.Resampling.LANCZOS) for each in (canvas, mask))
    return Layout(canvas, mask, Overlay(canvas, _strengthened(mask)))


def _strengthened(mask: Image.Image) -> Image.Image:
    """What is half masked shows the drawn picture wholly: the latents beneath it changed as a whole."""
    return mask.point(lambda value: min(2 * value, 255))


def _encoded(model: LoadedModel, picture: Image.Image, size: tuple[int, int], context: TaskContext) -> Tensor:
    latent = model.latent_format
    step, multiple = latent.pixels_per_latent, latent.size_multiple
    if picture.size != size:
        sides = (max(side // multiple, 1) * multiple for side in picture.size)
        picture = picture.resize((next(sides), next(sides)), Image.Resampling.LANCZOS)
    latents = encoded(model, pixels_of(picture).to(model.device), context)
    shape = size[1] // step, size[0] // step
    if latents.shape[-2:] == shape:
        return latents
    return F.interpolate(latents, shape, mode="bilinear")


def _latent_mask(mask: Image.Image, latents: Tensor, *, soft: bool) -> Tensor:
    """[1, 1, h, w], of zeros and ones unless greys are to count; raises `BadInput` where all would be 0.

    As in A1111, what is at least half white counts. A stroke too thin for that counts where it is whitest:
    more is drawn than was painted, but only what was painted is set into the picture.
    """
    small = mask.resize((latents.shape[-1], latents.shape[-2]), Image.Resampling.BICUBIC)
    values = torch.from_numpy(numpy.array(small, dtype=numpy.float32) / 255)[None, None].to(latents.device)
    if soft:
        return values
    whitest = float(values.max())
    if whitest < LEAST_WHITE:
        raise nothing_to_paint(
            "What is white of the mask is too small at the size that is drawn.",
            "Paint a larger mask, lower inpaint.blur, or choose inpaint.area=only_masked.",
        )
    return values.round() if bool(values.round().any()) else (values >= whitest / 2).float()
