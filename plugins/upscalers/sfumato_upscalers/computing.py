"""On which device and in which type upscaler models compute."""

from __future__ import annotations

from typing import Any

import torch

from sfumato.errors import BadInput


def chosen_device(settings: Any) -> str:
    """That of the engine's settings; 'auto' is the first GPU, Apple's GPU, or the CPU."""
    wanted: str = getattr(getattr(settings, "engine", None), "device", "auto")
    if wanted != "auto":
        return wanted
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def computing_type(wanted: str, device: str, *, float16: bool, bfloat16: bool) -> torch.dtype:
    """The type to compute in.

    Args:
        wanted: The setting: "auto" or a type's name.
        device: A torch device name.
        float16: Whether the model allows it.
        bfloat16: Whether the model allows it.

    Raises:
        BadInput: the type asked for does not go with the model or the device.
    """
    allowed = {
        "float32": True,
        "bfloat16": bfloat16,
        "float16": float16 and torch.device(device).type != "cpu",
    }
    if wanted == "auto":
        if torch.device(device).type == "cpu":
            return torch.float32
        wanted = next(name for name in ("float16", "bfloat16", "float32") if allowed[name])
    if not allowed[wanted]:
        raise BadInput(
            f"This upscaler cannot compute in {wanted} on {device}.",
            hint="To let Sfumato choose: sfumato settings set upscalers.dtype auto",
        )
    found: torch.dtype = getattr(torch, wanted)
    return found
