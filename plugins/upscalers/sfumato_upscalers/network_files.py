"""Upscaler models from files, by spandrel (https://github.com/chaiNNer-org/spandrel).

Files are opened by our own readers, pickled ones for tensors alone: spandrel would run TorchScript.
"""

from __future__ import annotations

import textwrap
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sfumato.errors import BadInput, CheckpointError
from sfumato_networks.pickled_file import read_pickled
from sfumato_networks.safetensors_file import MappedTensors
from sfumato_networks.torchvision_operators import declare_where_missing

if TYPE_CHECKING:
    from spandrel import ImageModelDescriptor

LONGEST_REASON = 200
"""Characters: torch lists every tensor that does not fit, after a line that says nothing."""

_CHANNELS = (1, 3, 4)


def load(path: Path) -> ImageModelDescriptor[Any]:
    """The network of a file, on the CPU, as stored.

    Raises:
        BadInput: there is no such file.
        CheckpointError: it is damaged, unsafe, or no upscaler that spandrel knows.
    """
    declare_where_missing()
    import spandrel

    stored = spandrel.canonicalize_state_dict(_tensors(path))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # networks of old do things in ways of old
            found = spandrel.MAIN_REGISTRY.load(stored)
    except spandrel.UnsupportedModelError as error:
        raise _no_upscaler(path, f"Its {len(stored)} tensors are not those of any known upscaler.") from error
    except (
        RuntimeError,
        KeyError,
        ValueError,
        TypeError,
        AttributeError,
        IndexError,
        AssertionError,
    ) as error:
        why = textwrap.shorten(str(error), LONGEST_REASON, placeholder=" ...").rstrip(".")
        raise CheckpointError(
            f"'{path.name}' cannot be loaded.", why=f"Its tensors do not fit: {why}.", hint="Get it again."
        ) from error
    if not isinstance(found, spandrel.ImageModelDescriptor) or found.purpose not in ("SR", "Restoration"):
        raise _no_upscaler(path, f"It is a {found.architecture.name} network, made for {found.purpose}.")
    if found.input_channels not in _CHANNELS or found.output_channels != found.input_channels:
        given, made = found.input_channels, found.output_channels
        raise _no_upscaler(path, f"It makes {made} channels of {given}: no picture to picture.")
    return found


def _no_upscaler(path: Path, why: str) -> CheckpointError:
    hint = "Keep upscalers alone in upscale_models; a LoRA belongs in loras, a checkpoint in checkpoints."
    return CheckpointError(f"'{path.name}' is not an upscaler.", why=why, hint=hint)


def _tensors(path: Path) -> dict[str, Any]:
    """What a file holds; raises as `load`."""
    if not path.is_file():
        raise BadInput(f"There is no file '{path}'.", hint="'sfumato upscalers' lists the upscalers.")
    if path.suffix.lower() == ".safetensors":
        return dict(MappedTensors(path))
    return read_pickled(path)
