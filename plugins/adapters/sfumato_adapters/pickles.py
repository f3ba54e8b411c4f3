"""Files that torch.save wrote: read on request only, and nothing but tensors taken from them."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sfumato.errors import CheckpointError

SWITCH = "adapters.read_pickles"


def load_pickle(path: Path, *, allowed: bool) -> Any:
    """What the file holds.

    Raises:
        CheckpointError: pickles are not allowed, or this one is damaged or holds more than tensors.
    """
    if not allowed:
        raise CheckpointError(
            f"'{path.name}' is not read.",
            why="It is a pickle file, a kind that can run any program when it is opened.",
            hint=f"Get it as .safetensors; or, if you trust it, 'sfumato settings set {SWITCH} true' has its "
            "tensors read and anything else refused.",
        )
    import torch

    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (
        pickle.UnpicklingError,
        RuntimeError,
        EOFError,
        ValueError,
        KeyError,
        OSError,
        TypeError,
    ) as error:
        raise CheckpointError(
            f"'{path.name}' cannot be read.",
            why=f"{str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__}",
            hint="It may be damaged, or hold more than tensors: get it as .safetensors.",
        ) from error


def open_pickle(path: Path, *, allowed: bool) -> Mapping[str, Any]:
    """The tensors of a state dict; raises like `load_pickle`."""
    import torch

    content = load_pickle(path, allowed=allowed)
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping):
        raise CheckpointError(f"'{path.name}' holds no tensors by name.", hint="Get it as .safetensors.")
    return {str(name): value for name, value in content.items() if isinstance(value, torch.Tensor)}
