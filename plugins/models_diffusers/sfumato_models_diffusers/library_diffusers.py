"""The library diffusers, where it is installed, and quiet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sfumato.errors import SfumatoError
from sfumato_networks.torchvision_operators import declare_where_missing


def import_diffusers() -> Any:
    """The library, with transformers, which all pipelines need.

    Raises:
        SfumatoError: one of them is not installed, or does not load.
    """
    declare_where_missing()
    try:
        import diffusers
        import transformers  # noqa: F401  # missing, it would be told only when a pipeline is made
    except ImportError as error:
        raise SfumatoError(
            "This model is run by the library diffusers, which is not there.",
            why=f"{error}.",
            hint='Install it: pip install "sfumato-models-diffusers[diffusers]"',
        ) from error
    return diffusers


@contextmanager
def without_progress_bars() -> Iterator[None]:
    """Neither library writes progress bars meanwhile."""
    from diffusers.utils import logging as of_diffusers
    from transformers.utils import logging as of_transformers

    shown = [each for each in (of_diffusers, of_transformers) if each.is_progress_bar_enabled()]
    for each in shown:
        each.disable_progress_bar()
    try:
        yield
    finally:
        for each in shown:
            each.enable_progress_bar()
