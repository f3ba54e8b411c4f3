"""The latents that are kept, and what machine they came from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy
import torch
from torch import Tensor

HERE = Path(__file__).parent
ARRAYS, HASHES = HERE / "latents.npz", HERE / "latents.json"


def sha256(latents: Tensor) -> str:
    return hashlib.sha256(latents.contiguous().numpy().tobytes()).hexdigest()


def kind_of_machine() -> dict[str, str]:
    """What rounding depends on: only where it is the same must the bits be."""
    return {
        "torch": torch.__version__.partition("+")[0],
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "threads": str(torch.get_num_threads()),
    }


def keep(latents: Mapping[str, Tensor]) -> None:
    """Write arrays (float32) and hashes."""
    with ARRAYS.open("wb") as file:
        numpy.savez_compressed(file, **{name: each.numpy() for name, each in latents.items()})
    hashes = {"machine": kind_of_machine(), "sha256": {name: sha256(each) for name, each in latents.items()}}
    HASHES.write_text(json.dumps(hashes, indent=1) + "\n", "utf-8")


def kept_arrays() -> dict[str, Tensor]:
    with numpy.load(ARRAYS, allow_pickle=False) as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays.files}


def kept_hashes() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(HASHES.read_text("utf-8"))
    return found
