"""What is checked in the header of any diffusion model, so that a wrong file is told. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar

from sfumato.errors import CheckpointError
from sfumato.models import CheckpointHeader, TensorInfo

Shape = tuple[int, ...]

GET_AGAIN = "Get the file again, or ask who made it."

_LORA = re.compile(r"lora_(down|up|A|B)\b|lora\d?\.(down|up)\b|lokr_|hada_")
_WEIGHTS = ("weight", "bias", "scale", "pos_embed")
_NUMBERS_ONLY = {"BOOL", "U8", "I8", "U16", "I16", "U32", "I32", "U64", "I64", "C64", "F8_E8M0"}
_SHOWN = 3

C = TypeVar("C")


class HasShapes(Protocol):
    """A network as a checkpoint stores it; `shapes` are under the names of the network's own layout."""

    @property
    def shapes(self) -> Mapping[str, Shape]: ...


def checked_config(
    header: CheckpointHeader,
    stored: HasShapes,
    read_sizes: Callable[[], C],
    expected_shapes: Callable[[C], Mapping[str, Shape]],
    *,
    family: str,
) -> C:
    """The sizes that ``read_sizes`` tells, every tensor's shape checked against what is expected of them.

    Args:
        read_sizes: Raises KeyError naming a tensor that is missing, ValueError saying what does not fit.
        family: What it is to be, for messages.

    Raises:
        CheckpointError: a tensor is missing or has another shape than the rest implies.
    """
    try:
        config = read_sizes()
    except KeyError as error:
        raise _lacks(header, [str(error.args[0])], family) from error
    except (ValueError, IndexError, ZeroDivisionError) as error:
        raise CheckpointError(
            f"'{header.path.name}' has the tensors of {family}, but not its sizes.",
            why=f"{error}.",
            hint=GET_AGAIN,
        ) from error
    _check_shapes(header, stored.shapes, expected_shapes(config), family)
    return config


def check_types(header: CheckpointHeader, tensors: Mapping[str, TensorInfo]) -> None:
    """Raises `CheckpointError` for a weight that is not stored as a floating-point number."""
    for name, info in tensors.items():
        if name.endswith(_WEIGHTS) and info.dtype in _NUMBERS_ONLY:
            raise CheckpointError(
                f"'{header.path.name}' cannot be used: tensor '{name}' has a wrong type.",
                why=f"Expected floating-point weights (BF16, F16, F32, F8), found {info.dtype}.",
                hint="It may be quantised in a way that no installed plugin reads: get another file.",
            )


def refuse_lora(header: CheckpointHeader, *blocks: str) -> None:
    """Raises `CheckpointError` for a LoRA for a model whose blocks are named so."""
    names = header.tensors
    marked = [name for name in names if _LORA.search(name)]
    if 2 * len(marked) > len(names) and any(block in name for block in blocks for name in marked):
        raise CheckpointError(
            f"'{header.path.name}' is a LoRA, not a model.",
            why=f"{len(marked)} of its {len(names)} tensors are low-rank changes to another model's weights.",
            hint="Choose the model it was made for, and name this file in the prompt: <lora:NAME>.",
        )


def _check_shapes(
    header: CheckpointHeader, found: Mapping[str, Shape], expected: Mapping[str, Shape], family: str
) -> None:
    missing = [name for name in expected if name not in found]
    if missing:
        raise _lacks(header, missing, family)
    for name, shape in expected.items():
        if found[name] != shape:
            raise CheckpointError(
                f"'{header.path.name}' does not fit together: tensor '{name}' has a wrong shape.",
                why=f"Expected {list(shape)} by the sizes of its other tensors, found {list(found[name])}.",
                hint=GET_AGAIN,
            )


def _lacks(header: CheckpointHeader, missing: list[str], family: str) -> CheckpointError:
    more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
    return CheckpointError(
        f"'{header.path.name}' is an incomplete {family} model.",
        why=f"It lacks {', '.join(missing[:_SHOWN])}{more}.",
        hint=GET_AGAIN,
    )
