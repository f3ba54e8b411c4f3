"""Which device computes, and in which type."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import torch

from sfumato.errors import BadInput
from sfumato.models import Placement
from sfumato_engine.settings import SIMULATED, EngineSettings

_FACTORS = {"K": 1000, "M": 1000**2, "G": 1000**3}


def placement(
    settings: EngineSettings,
    part_dtypes: Mapping[str, str] = MappingProxyType({}),
    part_files: Mapping[str, Path] = MappingProxyType({}),
) -> Placement:
    """The placement that the settings ask for, with 'auto' made definite.

    Args:
        part_dtypes: Compute types by kind of part, where a request names them.
        part_files: Files by kind of part, where a request names them.

    Raises:
        BadInput: the device is unknown or absent, or float16 is asked for on a CPU.
    """
    device = torch_device(settings.device)
    if device == "cpu" and "float16" in (settings.dtype, *part_dtypes.values()):
        raise BadInput(
            "float16 is not computed on a CPU.",
            why="Processors have no fast path for it: it is hundreds of times slower than bfloat16.",
            hint="Use 'auto' or 'bfloat16', as in: sfumato settings set engine.dtype auto",
        )
    return Placement(
        device=device,
        dtype=settings.dtype,
        part_dtypes=dict(part_dtypes),
        part_files=dict(part_files),
        deferred=True,
        quantisation=settings.quantisation,
    )


def torch_device(name: str) -> str:
    """The torch device that a device of the settings computes on.

    Raises:
        BadInput: it is unknown or absent.
    """
    if name == "auto":
        return best_device()
    return "cpu" if is_simulated(name) else checked_device(name)


def is_simulated(name: str) -> bool:
    """Whether it is the CPU that computes, with memory counted as if it were a device of its own."""
    return name.startswith(SIMULATED)


def simulated_capacity(name: str) -> int | None:
    """The bytes of "simulated:4GB"; None where no size is named."""
    size = name.partition(":")[2].upper().rstrip("B")
    if not size:
        return None
    factor = _FACTORS.get(size[-1], 1)
    return int(float(size.rstrip("KMG")) * factor)


def best_device() -> str:
    """The first GPU, Apple's GPU, or the CPU."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def checked_device(name: str) -> str:
    """The device's name when it exists here.

    Raises:
        BadInput: torch does not know it, or this machine does not have it.
    """
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise BadInput(
            f"The device '{name}' cannot be used.",
            why=str(error).splitlines()[0],
            hint="To let Sfumato choose: sfumato settings set engine.device auto",
        ) from error
    return name


def device_label(device: str) -> str:
    """The device as people know it: "cpu", or "cuda (NVIDIA H100)"."""
    if torch.device(device).type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return device
