"""The phases of a request: which parts of a model compute in each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

Phase = Literal["loading", "encoding", "sampling", "enlarging", "decoding"]

DRAWING = ("unet", "transformer")
"""The kinds of parts that are asked in every step."""
AUTOENCODER = "autoencoder"


def parts_in(phase: Phase, kinds: Iterable[str]) -> tuple[str, ...]:
    """The kinds of a model's parts that compute in a phase."""
    if phase == "sampling":
        return tuple(kind for kind in kinds if kind in DRAWING)
    if phase in ("decoding", "enlarging"):
        return tuple(kind for kind in kinds if kind == AUTOENCODER)
    if phase == "encoding":
        return tuple(kind for kind in kinds if kind not in DRAWING and kind != AUTOENCODER)
    return ()


def turn_of(kind: str) -> int:
    """In which order the parts of one model leave the device: text encoders first, as they are done first."""
    if kind in DRAWING:
        return 2
    return 1 if kind == AUTOENCODER else 0
