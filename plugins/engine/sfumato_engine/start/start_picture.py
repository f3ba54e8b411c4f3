"""What a pass over a picture starts from: its latents, what may change in them, and what to do in the end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from torch import Tensor

from sfumato.errors import BadInput
from sfumato.models import LoadedModel
from sfumato.request import GenerationRequest, Img2Img, Inpaint, Outpaint, SoftInpaint
from sfumato.request.img2img import MaskedContent
from sfumato_engine.start.colours import with_colours_of
from sfumato_engine.start.filling import filled
from sfumato_engine.start.masks import blurred, masked_area
from sfumato_engine.start.outpainting import canvas_of, mask_of
from sfumato_engine.start.overlay import Overlay
from sfumato_engine.start.resizing import resized
from sfumato_engine.start.soft import as_mask, changed_part
from sfumato_pictures.reading import read_mask, read_picture

ALIKE = 0.02
"""Difference of proportions up to which a mask is taken to belong to a picture."""
GREY = 0.5
"""What inpainting models see in place of the masked part."""


@dataclass(frozen=True)
class Start:
    """What all pictures of a request start from.

    Attributes:
        latents: [1, c, h, w].
        mask: What is painted anew, [1, 1, h, w] in 0..1; None for all of it.
        content: What the masked part starts from.
        seen: What a model that sees pictures is given.
        overlay: The original, laid over the result.
        colours: The picture whose colours the result is to have.
    """

    latents: Tensor
    mask: Tensor | None = None
    content: MaskedContent = "original"
    seen: Any = None
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


def start_from(request: GenerationRequest, model: LoadedModel, size: tuple[int, int]) -> Start | None:
    """What the request starts from; None for pure noise, where the model sees no picture either.

    Args:
        size: Width and height in pixels of what is drawn.

    Raises:
        BadInput: a picture or mask cannot be read, they do not belong together, or nothing is masked.
    """
    start = request.img2img
    if start is None:
        return None
    picture = read_picture(start.image, background=start.background).image
    layout, content, weight = _layout(request, start, picture, size)
    source = layout.picture
    if layout.mask is not None and content == "fill":
        source = filled(source, layout.mask)
    latents = _encoded(
        model, picture if start.resize_mode == "latent" and layout.mask is None else source, size
    )
    soft = bool(request.inpaint and request.inpaint.soft)
    return Start(
        latents=latents,
        mask=None if layout.mask is None else _latent_mask(layout.mask, latents, soft=soft),
        content=content,
        seen=_seen(model, layout.picture, layout.mask, weight) if model.info.sees_picture else None,
        overlay=layout.overlay,
        colours=layout.picture if start.color_correction else None,
    )


def seen_without_picture(model: LoadedModel, size: tuple[int, int]) -> Any:
    """What a model that sees pictures is given where there is none: all of it is to be painted."""
    grey = Image.new("RGB", size, (128, 128, 128))
    return _seen(model, grey, None, 1.0) if model.info.sees_picture else None


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
    """The mask at the picture's size, softened."""
    mask = Image.fromarray(read_mask(inpaint.mask))
    proportions = [each.width / each.height for each in (mask, picture)]
    if abs(proportions[0] / proportions[1] - 1) > ALIKE:
        raise BadInput(
            "The mask does not belong to the picture.",
            why=f"The mask is {mask.width}x{mask.height}, the picture {picture.width}x{picture.height}.",
            hint="Give a mask of the picture's size, or of its proportions.",
        )
    if mask.size != picture.size:
        mask = mask.resize(picture.size, Image.Resampling.LANCZOS)
    return blurred(ImageOps.invert(mask) if inpaint.invert else mask, inpaint.blur)


def _only_masked(picture: Image.Image, mask: Image.Image, inpaint: Inpaint, size: tuple[int, int]) -> Layout:
    area = masked_area(mask, inpaint.padding, *size)
    if area is None:
        raise BadInput(
            "There is nothing to paint anew.",
            why="The mask is all black." if not inpaint.invert else "The inverted mask is all black.",
            hint="Paint what is to change white, or leave out inpaint.area=only_masked.",
        )
    part, part_mask = (each.crop(area.box).resize(size, Image.Resampling.LANCZOS) for each in (picture, mask))
    return Layout(part, part_mask, Overlay(picture, mask, area.box))


def _outpainted(picture: Image.Image, outpaint: Outpaint, size: tuple[int, int]) -> Layout:
    canvas = canvas_of(picture, outpaint).resize(size, Image.Resampling.LANCZOS)
    mask = mask_of(picture, outpaint).resize(size, Image.Resampling.LANCZOS)
    mask = blurred(mask, outpaint.blur)
    return Layout(canvas, mask, Overlay(canvas, _strengthened(mask)))


def _strengthened(mask: Image.Image) -> Image.Image:
    """What is half masked shows the drawn picture wholly: the latents beneath it changed as a whole."""
    return mask.point(lambda value: min(2 * value, 255))


def _pixels(picture: Image.Image) -> Tensor:
    """[1, 3, h, w] in 0..1."""
    values = torch.from_numpy(numpy.array(picture, dtype=numpy.float32) / 255)
    return values.permute(2, 0, 1)[None].contiguous()


def _encoded(model: LoadedModel, picture: Image.Image, size: tuple[int, int]) -> Tensor:
    latent = model.latent_format
    step, multiple = latent.pixels_per_latent, latent.size_multiple
    if picture.size != size:
        sides = (max(side // multiple, 1) * multiple for side in picture.size)
        picture = picture.resize((next(sides), next(sides)), Image.Resampling.LANCZOS)
    latents = model.encode(_pixels(picture).to(model.device)).float()
    shape = size[1] // step, size[0] // step
    if latents.shape[-2:] == shape:
        return latents
    return F.interpolate(latents, shape, mode="bilinear")


def _latent_mask(mask: Image.Image, latents: Tensor, *, soft: bool) -> Tensor:
    """[1, 1, h, w], of zeros and ones unless greys are to count."""
    small = mask.resize((latents.shape[-1], latents.shape[-2]), Image.Resampling.BICUBIC)
    values = torch.from_numpy(numpy.array(small, dtype=numpy.float32) / 255)[None, None].to(latents.device)
    return values if soft else values.round()


def _seen(model: LoadedModel, picture: Image.Image, mask: Image.Image | None, weight: float) -> Any:
    pixels = _pixels(picture).to(model.device)
    covered = torch.ones_like(pixels[:, :1])
    if mask is not None:
        values = torch.from_numpy(numpy.array(mask, dtype=numpy.float32) / 255)
        covered = values.round()[None, None].to(model.device)
    return model.see(torch.lerp(pixels, torch.full_like(pixels, GREY), covered * weight), covered)
