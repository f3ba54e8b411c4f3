"""bitsandbytes where it is installed and works; nothing else here imports it."""

from __future__ import annotations

import contextlib
import importlib
import logging
from collections.abc import Iterator
from functools import lru_cache
from types import ModuleType

from sfumato.errors import SfumatoError

log = logging.getLogger(__name__)

GET = 'pip install "sfumato-quant-bnb[bitsandbytes]"'


@lru_cache(maxsize=1)
def bitsandbytes() -> ModuleType | None:
    """The library, with its compiled kernels; None where it is absent, or its kernels cannot be loaded."""
    try:
        with _without_its_advice():
            library = importlib.import_module("bitsandbytes")
            loaded = importlib.import_module("bitsandbytes.cextension").lib
    except ImportError as error:
        log.debug("bitsandbytes is not used: %s", error)
        return None
    except Exception as error:  # it looks for GPUs and drivers while it is imported
        log.warning("bitsandbytes cannot be used: %s: %s", type(error).__name__, error)
        return None
    if type(loaded).__name__.startswith("ErrorHandler"):  # what it puts in the place of kernels
        log.warning("bitsandbytes has no kernels for this machine and is not used")
        return None
    return library


def needed(library: ModuleType | None, form: str) -> ModuleType:
    """The library; raises `SfumatoError` where it is absent, for `form` cannot be made without it."""
    if library is None:
        raise SfumatoError(
            f"Packing weights as {form} needs bitsandbytes.",
            why="It is not installed, or does not work on this machine ('sfumato doctor' says more).",
            hint=f"Get it: {GET}; int8, fp8 and GGUF need none.",
        )
    return library


@contextlib.contextmanager
def _without_its_advice() -> Iterator[None]:
    """On some processors it warns that a faster kernel, not used here, could be downloaded."""
    logger = logging.getLogger("bitsandbytes")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
