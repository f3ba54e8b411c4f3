"""Memory: an estimate that refuses what cannot fit, and errors that say what to lower."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sfumato.errors import BadInput, OutOfMemory
from sfumato.models import LoadedModel
from sfumato_engine.batching import decoded_side_by_side, passes_side_by_side
from sfumato_engine.residency.decision import DoesNotFit
from sfumato_engine.residency.residency import Residency
from sfumato_engine.resolution import ResolvedRequest
from sfumato_engine.settings import EngineSettings
from sfumato_engine.shortage import is_shortage
from sfumato_engine.tiled_autoencoder import tiled_memory

LOWER = "Lower the width and height or the batch size"
CLOSE = "Close other programs"


def sampling_memory(
    model: LoadedModel,
    resolved: ResolvedRequest,
    settings: EngineSettings,
    prompts: int,
    size: tuple[int, int, int],
) -> int:
    """Bytes needed beyond the weights while a batch is sampled.

    Args:
        settings: How the passes of CFG are batched.
        prompts: Model evaluations a picture and step.
        size: Width and height in pixels, batch size.
    """
    width, height, batch_size = size
    positions = batch_size * width * height // model.latent_format.pixels_per_latent**2
    passes = passes_side_by_side(settings.cfg_batching, prompts, positions)
    return model.sampling_memory(width, height, batch_size * passes, resolved.model_options)


def decoding_memory(model: LoadedModel, settings: EngineSettings, size: tuple[int, int, int]) -> int:
    """Bytes needed beyond the weights while a batch is decoded, in parts where the settings allow it.

    Args:
        size: Width and height in pixels, batch size.
    """
    width, height, batch_size = size
    positions = batch_size * width * height // model.latent_format.pixels_per_latent**2
    whole = model.decoding_memory(width, height, decoded_side_by_side(batch_size, positions))
    if settings.vae_tiling == "never":
        return whole
    return min(whole, tiled_memory(model, width, height, settings.vae_tile))


def encoding_memory(model: LoadedModel, resolved: ResolvedRequest) -> int:
    """Bytes that the text encoders need beyond the weights for one prompt, where the model tells."""
    tell = getattr(model, "encoding_memory", None)
    return tell(resolved.model_options) if tell is not None else 0


def working_memory(
    model: LoadedModel,
    resolved: ResolvedRequest,
    settings: EngineSettings,
    prompts: int,
    size: tuple[int, int, int],
) -> int:
    """Bytes needed beyond the weights at the peak of sampling or decoding, whichever is more."""
    sampling = sampling_memory(model, resolved, settings, prompts, size)
    return max(sampling, decoding_memory(model, settings, size))


def check_memory(
    model: LoadedModel,
    resolved: ResolvedRequest,
    settings: EngineSettings,
    prompts: int,
    residency: Residency,
    drop_idle: Callable[[], int],
) -> None:
    """Refuse what the device cannot hold, before any work on the picture begins.

    Args:
        model: Loaded; its weights may be anywhere.
        settings: See `working_memory`.
        prompts: Model evaluations a picture and step.
        residency: Knows the room that there is.
        drop_idle: Lets go of models kept for later, and tells how many there were.

    Raises:
        BadInput: it could never fit this device.
        OutOfMemory: it does not fit now.
    """
    width, height = resolved.size
    size = width, height, resolved.request.batch_size

    def need(width: int, height: int, batch_size: int) -> int:
        return working_memory(model, resolved, settings, prompts, (width, height, batch_size))

    def check() -> None:
        residency.foresee("sampling", [model], sampling_memory(model, resolved, settings, prompts, size))
        residency.foresee("decoding", [model], decoding_memory(model, settings, size))

    try:
        try:
            check()
        except DoesNotFit as short:
            if short.needed > residency.memory().total:
                raise
            residency.release_adapters()
            drop_idle()
            check()
    except DoesNotFit as short:
        weights = short.needed - need(*size)
        hint = what_fits(need, size, model.latent_format.size_multiple, short.room - weights)
        raise does_not_fit(f"{size[2]} x {width}x{height} pixels", short, residency, hint) from None


def does_not_fit(asked: str, short: DoesNotFit, residency: Residency, hint: str) -> BadInput | OutOfMemory:
    """The error for work that there is no room for, now or ever.

    Args:
        asked: What there is no room for, in words.
    """
    memory = residency.memory()
    estimate = f"It needs about {in_words(short.needed)}"
    if short.needed > memory.total:
        why = f"{estimate}, and the device ({residency.device}) has {in_words(memory.total)}."
        return BadInput(f"{asked} is more than this device can draw.", why=why, hint=hint)
    why = f"{estimate}, and {in_words(short.room)} are free on {residency.device}."
    return OutOfMemory(f"There is not enough memory for {asked}.", why=why, hint=hint)


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
