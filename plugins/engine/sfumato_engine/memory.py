"""Memory: an estimate that refuses what cannot fit, and errors that say what to lower."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from sfumato.errors import BadInput, OutOfMemory
from sfumato.memory import MachineMemory, machine_memory
from sfumato.models import LoadedModel
from sfumato_engine.batching import decoded_side_by_side, passes_side_by_side
from sfumato_engine.resolution import ResolvedRequest
from sfumato_engine.settings import EngineSettings
from sfumato_engine.shortage import is_shortage
from sfumato_engine.tiled_autoencoder import tiled_memory

LOWER = "Lower the width and height or the batch size"
CLOSE = "Close other programs"


def device_memory(device: str) -> MachineMemory:
    """What the device has; for a CPU the machine's memory or the container's, whichever is less."""
    if torch.device(device).type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return MachineMemory(free + kept, total)  # torch keeps freed memory, and uses it again
    return machine_memory()


def working_memory(
    model: LoadedModel,
    resolved: ResolvedRequest,
    settings: EngineSettings,
    prompts: int,
    size: tuple[int, int, int],
) -> int:
    """Bytes needed beyond the weights at the peak of sampling or decoding, whichever is more.

    Args:
        settings: How the passes of CFG are batched, and whether pictures may be decoded in parts.
        prompts: Model evaluations a picture and step.
        size: Width and height in pixels, batch size.
    """
    width, height, batch_size = size
    positions = batch_size * width * height // model.latent_format.pixels_per_latent**2
    passes = passes_side_by_side(settings.cfg_batching, prompts, positions)
    decoding = model.decoding_memory(width, height, decoded_side_by_side(batch_size, positions))
    if settings.vae_tiling != "never":
        decoding = min(decoding, tiled_memory(model, width, height, settings.vae_tile))
    sampling = model.sampling_memory(width, height, batch_size * passes, resolved.model_options)
    return max(sampling, decoding)


def check_memory(
    model: LoadedModel,
    resolved: ResolvedRequest,
    settings: EngineSettings,
    prompts: int,
    drop_idle: Callable[[], int],
) -> None:
    """Refuse what the device cannot hold, before any work on the picture begins.

    Args:
        model: Loaded; its weights are no longer among the free memory.
        settings: See `working_memory`.
        prompts: Model evaluations a picture and step.
        drop_idle: Lets go of models kept for later, and tells how many there were.

    Raises:
        BadInput: it could never fit this device.
        OutOfMemory: it does not fit now.
    """

    def need(width: int, height: int, batch_size: int) -> int:
        return working_memory(model, resolved, settings, prompts, (width, height, batch_size))

    width, height = resolved.size
    batch_size = resolved.request.batch_size
    memory = device_memory(model.device)
    needed = need(width, height, batch_size)
    if memory.available < needed <= memory.total and drop_idle():
        memory = device_memory(model.device)
    if needed <= memory.available:
        return
    asked = f"{batch_size} x {width}x{height} pixels"
    estimate = f"It needs about {in_words(needed)}"
    hint = what_fits(need, (width, height, batch_size), model.latent_format.size_multiple, memory.available)
    if needed > memory.total:
        why = f"{estimate}, and the device ({model.device}) has {in_words(memory.total)}."
        raise BadInput(f"{asked} is more than this device can draw.", why=why, hint=hint)
    why = f"{estimate}, and {in_words(memory.available)} are free on {model.device}."
    raise OutOfMemory(f"There is not enough memory for {asked}.", why=why, hint=hint)


def what_fits(
    need: Callable[[int, int, int], int], asked: tuple[int, int, int], multiple: int, available: int
) -> str:
    """Advice: the largest batch that fits at this size, or the largest size of these proportions.

    Args:
        need: Bytes for width, height, batch size.
        asked: Width, height, batch size that do not fit.
        multiple: What both sides must be a multiple of.
        available: Bytes.
    """
    width, height, batch_size = asked
    for fewer in range(batch_size - 1, 0, -1):
        if need(width, height, fewer) <= available:
            return f"Batch size {fewer} would fit; make more pictures with --count."
    for percent in range(95, 0, -1):
        smaller_width, smaller_height = (
            max(side * percent // 100 // multiple, 1) * multiple for side in (width, height)
        )
        if need(smaller_width, smaller_height, 1) <= available:
            return f"{smaller_width}x{smaller_height} with batch size 1 would fit."
    return f"{LOWER}, or {CLOSE.lower()}."


def in_words(size: int) -> str:
    """Bytes as people read them: "3.2 GB"."""
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"


@contextmanager
def memory_errors_explained(what: str, hint: str) -> Iterator[None]:
    """Turns every kind of memory shortage into `OutOfMemory` with these words."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_shortage(error):
            raise
        raise OutOfMemory(what, why=next(iter(str(error).splitlines()), ""), hint=hint) from error
