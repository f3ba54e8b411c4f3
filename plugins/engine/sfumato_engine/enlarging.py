"""The picture of the first pass made larger for the hires pass: its latents, or its pixels."""

from __future__ import annotations

import torch
from torch import Tensor

from sfumato.errors import BadInput
from sfumato.tasks import TaskContext
from sfumato.upscaling import FoundUpscaler, UpscaleContext, Upscaler
from sfumato_engine.blame import blamed, failure
from sfumato_engine.decoding import decoded_pixels, encoded
from sfumato_engine.preparation import PreparedPass


def enlarged(
    latents: Tensor, first: PreparedPass, hires: PreparedPass, upscaler: FoundUpscaler, context: TaskContext
) -> Tensor:
    """Latents [b, c, h, w] of the first pass as the hires pass starts from them, at its size.

    What the proportions of a given size cut off lies on both sides alike.

    Raises:
        BadInput: latents are to be enlarged that mean nothing to the hires pass's own model.
    """
    enlarge = blamed_upscaler(upscaler)
    told = UpscaleContext(
        device=first.model.device,
        workspace=context.workspace,
        settings=context.settings,
        path=upscaler.path,
        cancel=context.cancel,
    )
    if upscaler.entry.info.works_on == "latents":
        check_latents_alike(first, hires, upscaler)
        height, width = hires.latent_shape[1:]
        larger = covering(latents.shape[-1], latents.shape[-2], width, height)
        return centre(enlarge(latents, *larger, told), width, height)
    width, height = hires.resolved.size
    step = hires.model.latent_format.pixels_per_latent
    larger = covering(*first.resolved.size, width, height)
    pictures = [
        centre(enlarge(pixels[None].to(told.device), *larger, told), width, height, step)
        for pixels in decoded_pixels(first.model, latents, context)
    ]
    return torch.cat([encoded(hires.model, picture.to(hires.model.device), context) for picture in pictures])


def blamed_upscaler(upscaler: FoundUpscaler) -> Upscaler:
    """The upscaler, whatever it raises laid to its plugin."""
    enlarge: Upscaler = upscaler.entry.load()

    def called(picture: Tensor, width: int, height: int, context: UpscaleContext) -> Tensor:
        with blamed("upscaler", upscaler.entry):
            result = enlarge(picture, width, height, context)
        if getattr(result, "shape", None) != (*picture.shape[:-2], height, width):
            raise failure("upscaler", upscaler.entry, "It gave back no picture of the size asked for.")
        return result

    return called


def check_latents_alike(first: PreparedPass, hires: PreparedPass, upscaler: FoundUpscaler) -> None:
    """Raises `BadInput` where the hires pass's own model has latents of another kind."""
    formats = [(one.model.latent_format.name, one.model.latent_format.channels) for one in (first, hires)]
    if formats[0] != formats[1]:
        raise BadInput(
            f"The upscaler '{upscaler.label}' cannot lead from one model to the other.",
            why=f"The latents of '{hires.resolved.info.name}' are of another kind than those of "
            f"'{first.resolved.info.name}'.",
            hint="Choose an upscaler that works on pixels, such as hires.upscaler=lanczos.",
        )


def covering(width: int, height: int, to_width: int, to_height: int) -> tuple[int, int]:
    """The smallest size of these proportions, rounded down, that covers the other one."""
    if to_width * height > to_height * width:
        return to_width, max(height * to_width // width, to_height)
    return max(width * to_height // height, to_width), to_height


def centre(picture: Tensor, width: int, height: int, step: int = 1) -> Tensor:
    """The middle of [b, c, h, w] at that size; it begins at a multiple of `step`, as whole latents do."""
    top, left = (
        (side - wanted) // step // 2 * step
        for side, wanted in zip(picture.shape[-2:], (height, width), strict=True)
    )
    return picture[..., top : top + height, left : left + width]
