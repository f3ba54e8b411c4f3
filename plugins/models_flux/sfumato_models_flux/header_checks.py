"""What the headers of models of Flux's layout say, beside tensors. Imports no torch."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, ValidationError

from sfumato.errors import CheckpointError
from sfumato.models import CheckpointHeader
from sfumato_networks.header_checks import GET_AGAIN

FLUX_BLOCKS = ("double_blocks", "single_blocks", "single_transformer_blocks")


def preferred_options(header: CheckpointHeader, options: type[BaseModel]) -> dict[str, Any]:
    """The shift that a diffusers folder's scheduler prescribes; CheckpointError where it makes no sense."""
    scheduler = header.configs.get("scheduler", {})
    if not scheduler:
        return {}
    if scheduler.get("use_dynamic_shifting"):
        stated = {key: scheduler[key] for key in ("base_shift", "max_shift") if key in scheduler}
        stated["shift"] = None
    else:
        stated = {"shift": scheduler.get("shift", 1.0)}
    try:
        return options.model_validate(stated).model_dump(include=set(stated))
    except ValidationError as error:
        problem = error.errors()[0]
        raise CheckpointError(
            f"'{header.path.name}' has an unusable scheduler/scheduler_config.json.",
            why=f"{problem['loc'][0]} is {problem['input']!r}: {problem['msg']}.",
            hint=GET_AGAIN,
        ) from error


def stored_axes(header: CheckpointHeader) -> tuple[int, ...] | None:
    """The rotary axes, where config.json or the metadata (`sfumato.flux_axes`) say them."""
    axes = header.configs.get("transformer", {}).get("axes_dims_rope")
    if axes is None and "sfumato.flux_axes" in header.metadata:
        try:
            axes = json.loads(header.metadata["sfumato.flux_axes"])
        except (ValueError, RecursionError):
            axes = header.metadata["sfumato.flux_axes"]
    if axes is None:
        return None
    if not (isinstance(axes, list) and all(type(axis) is int for axis in axes)):
        raise CheckpointError(
            f"'{header.path.name}' has unusable rotary axes.",
            why=f"Expected three positive even numbers, found {axes!r}.",
            hint=GET_AGAIN,
        )
    return tuple(axes)
