"""What is checked in the headers of all models of Flux's layout. Imports no torch."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel, ValidationError

from sfumato.errors import CheckpointError
from sfumato.models import CheckpointHeader
from sfumato_models_flux.config import FluxConfig
from sfumato_models_flux.stored_transformer import StoredTransformer
from sfumato_networks.made_tensors import Shape

_LORA = re.compile(r"lora_(down|up|A|B)\b|lora\d?\.(down|up)\b|lokr_|hada_")
_FLUX_BLOCKS = ("double_blocks", "single_blocks", "single_transformer_blocks")
_NUMBERS_ONLY = {"BOOL", "U8", "I8", "U16", "I16", "U32", "I32", "U64", "I64", "C64", "F8_E8M0"}
_GET_AGAIN = "Get the file again, or ask who made it."

Config = TypeVar("Config", bound=FluxConfig, covariant=True)


class ReadSizes(Protocol[Config]):
    """Tells sizes from shapes; `FluxConfig.from_shapes` is one."""

    def __call__(self, shapes: Mapping[str, Shape], *, axes: tuple[int, ...] | None) -> Config: ...


def checked_config(
    header: CheckpointHeader,
    stored: StoredTransformer,
    read_sizes: ReadSizes[Config],
    expected: Callable[[Any], Mapping[str, Shape]],
    *,
    family: str,
) -> Config:
    """The transformer's sizes, every tensor's shape checked against what is expected of these.

    Raises:
        CheckpointError: a tensor is missing or has another shape than the rest implies.
    """
    try:
        config = read_sizes(stored.shapes, axes=_stored_axes(header))
    except KeyError as error:
        raise _lacks(header, [str(error.args[0])], family) from error
    except (ValueError, IndexError, ZeroDivisionError) as error:
        raise CheckpointError(
            f"'{header.path.name}' has the tensors of {family}, but not its sizes.",
            why=f"{error}.",
            hint=_GET_AGAIN,
        ) from error
    _check_shapes(header, stored.shapes, expected(config), family)
    return config


def _check_shapes(
    header: CheckpointHeader, found: Mapping[str, Shape], expected: Mapping[str, Shape], family: str
) -> None:
    """Raises `CheckpointError` naming the first tensors that are missing, or one of a wrong shape."""
    missing = [name for name in expected if name not in found]
    if missing:
        raise _lacks(header, missing, family)
    for name, shape in expected.items():
        if found[name] != shape:
            raise CheckpointError(
                f"'{header.path.name}' does not fit together: tensor '{name}' has a wrong shape.",
                why=f"Expected {list(shape)} by the sizes of its other tensors, found {list(found[name])}.",
                hint=_GET_AGAIN,
            )


def _lacks(header: CheckpointHeader, missing: list[str], family: str) -> CheckpointError:
    more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
    return CheckpointError(
        f"'{header.path.name}' is an incomplete {family} model.",
        why=f"It lacks {', '.join(missing[:3])}{more}.",
        hint=_GET_AGAIN,
    )


def check_types(header: CheckpointHeader, stored: StoredTransformer) -> None:
    """Raises `CheckpointError` for a weight that is not stored as a floating-point number."""
    for name, info in stored.tensors.items():
        if name.endswith(("weight", "bias", "scale")) and info.dtype in _NUMBERS_ONLY:
            raise CheckpointError(
                f"'{header.path.name}' cannot be used: tensor '{name}' has a wrong type.",
                why=f"Expected floating-point weights (BF16, F16, F32, F8), found {info.dtype}.",
                hint="It may be quantised in a way that no installed plugin reads: get another file.",
            )


def refuse_lora(header: CheckpointHeader) -> None:
    """Raises `CheckpointError` for a LoRA for Flux or a relative whose blocks are named alike."""
    names = header.tensors
    marked = [name for name in names if _LORA.search(name)]
    if 2 * len(marked) > len(names) and any(block in name for block in _FLUX_BLOCKS for name in marked):
        raise CheckpointError(
            f"'{header.path.name}' is a LoRA, not a model.",
            why=f"{len(marked)} of its {len(names)} tensors are low-rank changes to another model's weights.",
            hint="Choose the model it was made for, and name the LoRA in the prompt: <lora:name:1>.",
        )


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
            hint=_GET_AGAIN,
        ) from error


def _stored_axes(header: CheckpointHeader) -> tuple[int, ...] | None:
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
            hint=_GET_AGAIN,
        )
    return tuple(axes)
