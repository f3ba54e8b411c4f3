"""Live previews: by a tiny decoder where there is one, else by a projection of latents to colours.

The projection takes no time and shows one pixel a latent; the decoder, some hundred times quicker than the
whole one, shows the picture.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from sfumato.errors import SfumatoError
from sfumato.events import Warned
from sfumato.models import LatentFormat
from sfumato.tasks import TaskContext
from sfumato_pictures.png import encode_png

if TYPE_CHECKING:
    from sfumato_networks.taesd import TinyDecoder

Preview = Callable[[Tensor], tuple[bytes, ...]]

DECODERS = {"sd": "taesd", "sdxl": "taesdxl", "sd3": "taesd3", "flux": "taef1"}
"""What the tiny autoencoder for latents of a name is called; its decoder's file ends in "_decoder"."""
LARGEST_SIDE = 64
"""Latents along a side that are decoded; larger ones are shrunk first, for a preview of some 500 pixels."""
_KEPT = "engine.preview_decoder"


def preview_by(latent_format: LatentFormat, device: str, context: TaskContext) -> Preview:
    """What makes previews of clean estimates [b, c, h, w], as the setting engine.preview_decoder says.

    A decoder that is missing although it was asked for, or cannot be used, is told; colours are shown then.
    """
    choice = context.settings.engine.preview_decoder
    decoder = None if choice == "colours" else _decoder(latent_format, device, context)
    if decoder is not None:
        return lambda latents: decoded_previews(latents, decoder)
    if choice == "taesd":
        name = DECODERS.get(latent_format.name)
        what = f"{name}_decoder.safetensors" if name else "any for this model's latents"
        context.events.emit(Warned(message=f"Previews show colours: vae_approx does not hold {what}."))
    return lambda latents: previews(latents, latent_format)


def project(latents: Tensor, latent_format: LatentFormat) -> Tensor:
    """Latents [b, c, h, w] to uint8 colours on the CPU, [b, h, w, 3]: one pixel a latent position."""
    factors = torch.tensor(latent_format.rgb_factors, dtype=latents.dtype, device=latents.device)
    bias = torch.tensor(latent_format.rgb_bias, dtype=latents.dtype, device=latents.device)
    colours = torch.einsum("bchw,cr->bhwr", latents, factors) + bias
    return colours.add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8).cpu()


def previews(latents: Tensor, latent_format: LatentFormat) -> tuple[bytes, ...]:
    """A small PNG of each picture; none when the family knows no projection."""
    if not latent_format.rgb_factors:
        return ()
    return _encoded(project(latents, latent_format))


def decoded_previews(latents: Tensor, decoder: TinyDecoder) -> tuple[bytes, ...]:
    """A PNG of each picture, of up to eight times `LARGEST_SIDE` pixels."""
    smaller = max(max(latents.shape[-2:]) / LARGEST_SIDE, 1)
    height, width = (max(round(side / smaller), 1) for side in latents.shape[-2:])
    shrunk = F.adaptive_avg_pool2d(latents.float(), (height, width))
    pixels = decoder(shrunk).mul_(255).round_().clamp_(0, 255).to(torch.uint8)
    return _encoded(pixels.permute(0, 2, 3, 1).contiguous().cpu())


def _encoded(pictures: Tensor) -> tuple[bytes, ...]:
    return tuple(encode_png(colours, {}, compression=1) for colours in pictures)


def _decoder(latent_format: LatentFormat, device: str, context: TaskContext) -> TinyDecoder | None:
    """The decoder for such latents, if there is one that can be used; kept until its file changes."""
    path = decoder_file(latent_format, context)
    if path is None:
        return None
    from sfumato_networks.taesd import load_tiny_decoder

    try:
        state = path.stat()
        key = (path, state.st_mtime_ns, state.st_size, device)
        kept: tuple[object, TinyDecoder] | None = context.workspace.get(_KEPT)
        if kept is None or kept[0] != key:
            kept = context.workspace[_KEPT] = key, load_tiny_decoder(path, device)
        decoder = kept[1]
    except (SfumatoError, OSError) as error:
        context.events.emit(Warned(message=f"Previews show colours: {error}"))
        return None
    if decoder.latent_channels != latent_format.channels:
        made_for = f"it is for latents of {decoder.latent_channels} channels, not {latent_format.channels}"
        context.events.emit(Warned(message=f"Previews show colours: '{path.name}' does not fit, {made_for}."))
        return None
    return decoder


def decoder_file(latent_format: LatentFormat, context: TaskContext) -> Path | None:
    """The file of the tiny decoder for such latents; one of the decoder alone goes before a whole one."""
    name = DECODERS.get(latent_format.name)
    if name is None:
        return None
    files = {path.stem.lower(): path for path in reversed(context.library.files("vae_approx"))}
    return files.get(f"{name}_decoder") or files.get(name)
