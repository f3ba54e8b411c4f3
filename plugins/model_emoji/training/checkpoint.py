"""Training state on disk, written so that an interruption never leaves half a file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn


def save_atomically(content: Any, path: Path) -> None:
    """``torch.save`` to a temporary neighbour, then rename."""
    temporary = path.with_suffix(path.suffix + ".part")
    torch.save(content, temporary)
    os.replace(temporary, path)


def save_checkpoint(
    path: Path,
    model: nn.Module,
    average: nn.Module,
    optimisers: Sequence[torch.optim.Optimizer],
    step: int,
    elapsed: float,
) -> None:
    """Store everything needed to go on: weights, running average, optimisers, step and seconds used."""
    content = {
        "model": model.state_dict(),
        "average": average.state_dict(),
        "optimisers": [optimiser.state_dict() for optimiser in optimisers],
        "step": step,
        "elapsed": elapsed,
    }
    save_atomically(content, path)


def load_checkpoint(
    path: Path, model: nn.Module, average: nn.Module, optimisers: Sequence[torch.optim.Optimizer]
) -> tuple[int, float]:
    """Restore a checkpoint where there is one; the step and the seconds already used, else zeros."""
    if not path.exists():
        return 0, 0.0
    content = torch.load(path, weights_only=True)
    model.load_state_dict(content["model"])
    average.load_state_dict(content["average"])
    for optimiser, state in zip(optimisers, content["optimisers"], strict=True):
        optimiser.load_state_dict(state)
    return content["step"], content["elapsed"]
