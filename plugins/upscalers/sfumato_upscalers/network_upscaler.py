"""Upscaling by a network: in tiles, as often as it takes, then to the size by Lanczos."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image
from torch import Tensor

from sfumato.errors import BadInput
from sfumato.upscaling import UpscaleContext
from sfumato_networks.tiles import Tile, blended, layout
from sfumato_upscalers import network_files
from sfumato_upscalers.computing import computing_type
from sfumato_upscalers.resampling import resample
from sfumato_upscalers.settings import UpscalerSettings

if TYPE_CHECKING:
    from spandrel import ImageModelDescriptor

MOST_ROUNDS = 3
"""As in A1111: what is still too small then is enlarged by Lanczos."""
WINDOW = 16
"""Tiles begin at multiples of it: the windows of attention, of 8 or 16 pixels, lie as in the whole then."""
_KEPT = "upscalers.networks"


def upscale(picture: Tensor, width: int, height: int, context: UpscaleContext) -> Tensor:
    """Pixels [b, 3, h, w] in 0..1 to [b, 3, height, width], by the network of `context.path`.

    Raises:
        BadInput: there is no file, or the type asked for is not to be had.
        CheckpointError: the file is no upscaler.
        Cancelled: the user stopped the work, between two tiles.
    """
    settings: UpscalerSettings = getattr(context.settings, "upscalers", None) or UpscalerSettings()
    network = _loaded(settings, context)
    tile = 0 if network.tiling.name == "INTERNAL" else settings.tile
    overlap = min(settings.overlap, tile // 2)
    rounds = [
        layout(h, w, tile, overlap, WINDOW) for h, w in sizes_before(picture, width, height, network.scale)
    ]
    progress = _Progress(sum(map(len, rounds)) * len(picture), context)
    with torch.inference_mode():
        pictures = [_enlarged(one, rounds, overlap, network, progress) for one in picture.split(1)]
        enlarged = torch.cat(pictures).to(picture.device)
        return resample(enlarged, width, height, Image.Resampling.LANCZOS).to(picture.dtype)


def sizes_before(picture: Tensor, width: int, height: int, scale: int) -> list[tuple[int, int]]:
    """Height and width before each round of a network of this scale.

    A picture that is to keep its size goes through once; one that only shrinks, not at all.
    """
    h, w = picture.shape[-2:]
    if (h, w) == (height, width) or (scale == 1 and (w < width or h < height)):
        return [(h, w)]
    found: list[tuple[int, int]] = []
    while len(found) < MOST_ROUNDS and (w < width or h < height):
        found.append((h, w))
        h, w = h * scale, w * scale
    return found


def _enlarged(
    picture: Tensor,
    rounds: list[list[Tile]],
    overlap: int,
    network: ImageModelDescriptor[Any],
    progress: _Progress,
) -> Tensor:
    """One picture [1, 3, h, w] after all rounds."""

    def run(tile: Tensor) -> Tensor:
        done = _run(network, tile)
        progress.tile_done()
        return done

    for tiles in rounds:
        picture = blended(picture, tiles, overlap, run, units=(1, network.scale))
    return picture.float()


def _run(network: ImageModelDescriptor[Any], tile: Tensor) -> Tensor:
    """A tile [1, 3, h, w] through the network, whose channels are grey, RGB or RGBA."""
    given = tile.to(network.device, network.dtype)
    if network.input_channels == 1:  # each colour as a grey picture
        return torch.cat([network(plane) for plane in given.split(1, dim=1)], dim=1)
    if network.input_channels == 4:
        return network(torch.cat([given, torch.ones_like(given[:, :1])], dim=1))[:, :3]
    return network(given)


class _Progress:
    """Tells of tiles done, and hears a cancel between two of them."""

    def __init__(self, total: int, context: UpscaleContext) -> None:
        self._done, self._total, self._context = 0, total, context
        context.cancel.check()

    def tile_done(self) -> None:
        self._done += 1
        self._context.on_tile(self._done, self._total)
        self._context.cancel.check()


def _loaded(settings: UpscalerSettings, context: UpscaleContext) -> ImageModelDescriptor[Any]:
    """The network of the file; those used last are kept, until their file changes."""
    path = context.path
    if path is None:
        raise BadInput("No upscaler file is named.", hint="'sfumato upscalers' lists them.")
    kept: OrderedDict[Any, ImageModelDescriptor[Any]] = context.workspace.setdefault(_KEPT, OrderedDict())
    state = path.stat() if path.exists() else None
    key = (path, state and (state.st_mtime_ns, state.st_size), context.device, settings.dtype)
    if key in kept:
        kept.move_to_end(key)
        return kept[key]
    while kept and len(kept) >= settings.keep_models:
        kept.popitem(last=False)
    network = network_files.load(path)
    dtype = computing_type(
        settings.dtype,
        context.device,
        float16=network.supports_half,
        bfloat16=network.supports_bfloat16,
    )
    network.to(context.device, dtype).eval()
    network.model.requires_grad_(False)
    if settings.keep_models:
        kept[key] = network
    return network
