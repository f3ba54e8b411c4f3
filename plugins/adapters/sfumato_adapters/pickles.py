"""Files that torch.save wrote: read on request only, and nothing but tensors taken from them."""

from __future__ import annotations

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
            hint=f"Get it as .safetensors. Or, where you trust it, switch on '{SWITCH}' "
            f"(sfumato settings set {SWITCH} true): then its tensors are read, and nothing else.",
        )
    from torch.nn import ParameterDict

    from sfumato_networks.pickled_file import read_pickled

    return read_pickled(path, (ParameterDict,))
