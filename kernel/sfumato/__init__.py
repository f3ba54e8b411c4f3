"""Sfumato: a studio for diffusion image generation, built as a small kernel and plugins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sfumato.errors import SfumatoError
    from sfumato.hookspecs import hookimpl
    from sfumato.request import GenerationRequest
    from sfumato.studio import Studio

__version__ = "0.1.0"
__all__ = ["GenerationRequest", "SfumatoError", "Studio", "__version__", "hookimpl"]

_HOMES = {
    "GenerationRequest": "sfumato.request",
    "SfumatoError": "sfumato.errors",
    "Studio": "sfumato.studio",
    "hookimpl": "sfumato.hookspecs",
}


def __getattr__(name: str) -> Any:
    """Public names are imported on first use, so that ``import sfumato`` costs next to nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'sfumato' has no attribute '{name}'")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
