"""Decoding and encoding in parts, for pictures that the whole autoencoder has no memory for.

An autoencoder that can run in strips of rows gives the same picture as whole, up to rounding, and its maps
may lie in the machine's memory while a GPU computes. Any other one works on tiles that fade into each other:
where its layers normalise over all that they see, each tile comes out a little different in tone.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from sfumato.events import CancelToken
from sfumato.models import LoadedModel
from sfumato_engine.settings import VaeTiling
from sfumato_networks.tiles import blended, layout

OnTile = Callable[[int, int], None]
"""Told parts done and parts in all."""

STRIP_SHARE = 8
"""A strip has the pixels of a tile divided by this: layers are not cut apart, so strips can be small."""


@runtime_checkable
class RunsInStrips(Protocol):
    """An autoencoder that knows how to, as `sfumato_networks.autoencoder.Autoencoder` does."""

    def in_strips(
        self, pixels: int, *, storage: str | None, on_sweep: OnTile, check: Callable[[], None]
    ) -> AbstractContextManager[None]: ...

    def memory_in_strips(self, width: int, height: int, pixels: int) -> tuple[int, int]: ...


def tiles_wanted(choice: VaeTiling, needed: int, available: int) -> bool:
    """Whether to work in parts, when the whole needs so many bytes of those available."""
    return choice == "always" or (choice == "auto" and needed > available)


def tiled_memory(model: LoadedModel, width: int, height: int, tile: int) -> int:
    """Bytes that `decode_tiled` needs on the model's device, at least, for a picture of this size."""
    network = _in_strips(model)
    if network is None:
        side = min(tile, max(width, height))
        return model.decoding_memory(min(side, width), min(side, height), 1) + 2 * 3 * 4 * width * height
    maps, strip = network.memory_in_strips(width, height, tile**2 // STRIP_SHARE)
    return strip if _is_apart(model) else maps + strip


def storage_for(model: LoadedModel, width: int, height: int, tile: int, available: int) -> str | None:
    """Where the maps of a picture of this size are best kept: with the model (None), or on the CPU.

    Args:
        available: Bytes on the model's device.
    """
    network = _in_strips(model)
    if network is None or not _is_apart(model):
        return None
    return "cpu" if sum(network.memory_in_strips(width, height, tile**2 // STRIP_SHARE)) > available else None


def decode_tiled(
    model: LoadedModel,
    latents: Tensor,
    tile: int,
    overlap: int,
    on_tile: OnTile = lambda done, total: None,
    cancel: CancelToken | None = None,
    *,
    storage: str | None = None,
) -> Tensor:
    """What ``model.decode`` gives, in parts: latents [b, c, h, w] to pixels [b, 3, H, W] in 0..1.

    Args:
        tile: Pixels along a side of a tile; strips have an eighth of its area.
        overlap: Pixels that neighbouring tiles share; strips need none.
        on_tile: Told parts done and parts in all.
        cancel: Looked at between parts.
        storage: The device that keeps the maps of a strip-wise run, see `storage_for`.

    Raises:
        Cancelled: `cancel` was used.
    """
    parts = _Parts(tile, overlap, on_tile, (cancel or CancelToken()).check, storage)
    return parts.run(model, latents, decodes=True)


def encode_tiled(
    model: LoadedModel,
    pixels: Tensor,
    tile: int,
    overlap: int,
    on_tile: OnTile = lambda done, total: None,
    cancel: CancelToken | None = None,
    *,
    storage: str | None = None,
) -> Tensor:
    """What ``model.encode`` gives, in parts: pixels [b, 3, H, W] in 0..1 to latents [b, c, h, w].

    Arguments and errors as for `decode_tiled`.
    """
    parts = _Parts(tile, overlap, on_tile, (cancel or CancelToken()).check, storage)
    return parts.run(model, pixels, decodes=False)


@dataclass(frozen=True)
class _Parts:
    """How the work is cut, who is told, and where maps are kept."""

    tile: int
    overlap: int
    on_tile: OnTile
    check: Callable[[], None]
    storage: str | None

    def run(self, model: LoadedModel, given: Tensor, *, decodes: bool) -> Tensor:
        self.check()
        work = model.decode if decodes else model.encode
        network = _in_strips(model)
        if network is None:
            return self._tiled(work, given, model.latent_format.pixels_per_latent, decodes=decodes)
        pixels = self.tile**2 // STRIP_SHARE
        with network.in_strips(pixels, storage=self.storage, on_sweep=self.on_tile, check=self.check):
            return work(given)

    def _tiled(
        self, work: Callable[[Tensor], Tensor], given: Tensor, pixels_per_latent: int, *, decodes: bool
    ) -> Tensor:
        """Tiles are laid out in latents, whichever way the work goes."""
        units = (1, pixels_per_latent) if decodes else (pixels_per_latent, 1)
        height, width = (side // units[0] for side in given.shape[-2:])
        tile = max(self.tile // pixels_per_latent, 1)
        overlap = min(self.overlap // pixels_per_latent, tile // 2)
        tiles = layout(height, width, tile, overlap)
        counted = _counted(work, len(tiles) * len(given), self.on_tile, self.check)
        return torch.cat([blended(one, tiles, overlap, counted, units=units) for one in given.split(1)])


def _counted(
    work: Callable[[Tensor], Tensor], total: int, on_tile: OnTile, check: Callable[[], None]
) -> Callable[[Tensor], Tensor]:
    done = 0

    def counting(part: Tensor) -> Tensor:
        nonlocal done
        check()
        result = work(part)
        done += 1
        on_tile(done, total)
        return result

    return counting


def _in_strips(model: LoadedModel) -> RunsInStrips | None:
    network: Any = model.networks.get("autoencoder")
    return network if isinstance(network, RunsInStrips) else None


def _is_apart(model: LoadedModel) -> bool:
    """Whether the model's device has a memory of its own."""
    return torch.device(model.device).type not in ("cpu", "mps")
