"""Tensors of pickled files (.pth, .pt, .ckpt, .bin), read without running anything that they hold."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from sfumato.errors import CheckpointError


def read_pickled(path: Path, containers: Sequence[type] = ()) -> dict[str, Any]:
    """What a file holds by name: tensors, and dictionaries of them where it is nested. On the CPU.

    Args:
        containers: What it may hold beside dictionaries; their code runs.

    Raises:
        CheckpointError: it is damaged, holds anything that could run, or no names.
    """
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(list(containers)):
            warnings.simplefilter("ignore")  # of files that are refused anyway
            held = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise _refused(path) from error
    except (RuntimeError, OSError, EOFError, LookupError, ValueError, TypeError, AttributeError) as error:
        if "TorchScript" in str(error):
            raise _refused(path) from error
        raise CheckpointError(
            f"'{path.name}' cannot be read.",
            why=f"{next(iter(str(error).splitlines()), 'It is damaged')}.",
            hint="Get it again, as .safetensors if there is one.",
        ) from error
    if not isinstance(held, dict) or not all(isinstance(name, str) for name in held):
        raise CheckpointError(
            f"'{path.name}' holds no tensors with names.",
            hint="Get it again, as .safetensors if there is one.",
        )
    return held


def _refused(path: Path) -> CheckpointError:
    return CheckpointError(
        f"'{path.name}' is refused.",
        why="It is damaged, or holds more than tensors: such a file can run any program when opened.",
        hint="Get it as .safetensors, or convert it with a tool you trust.",
    )
