"""Weights from a file into a network, without a copy."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from sfumato.errors import CheckpointError

M = TypeVar("M", bound=nn.Module)

_SHOWN = 3


class _WithoutRandomStart(TorchFunctionMode):
    """Leaves out `torch.nn.init`: without memory all it does is import torch's compiler, over a second."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__module__", "") == "torch.nn.init":
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        return func(*args, **kwargs)


def build_empty(build: Callable[[], M]) -> M:
    """The network that ``build`` makes, without memory for its weights: `assign_weights` brings them."""
    with torch.device("meta"), _WithoutRandomStart():
        return build()


def assign_weights(
    module: nn.Module,
    tensors: Mapping[str, Tensor],
    *,
    prefix: str = "",
    dtype: torch.dtype | None = None,
    ignored: Collection[str] = (),
    where: str,
) -> None:
    """Make the tensors of a checkpoint the weights of ``module``, which is frozen and set to evaluation.

    Args:
        module: A network in the checkpoint's layout, as a rule from `build_empty`.
        tensors: The checkpoint's; mapped ones stay mapped, so nothing is read or copied here.
        prefix: What the names of this network's tensors begin with in the checkpoint; all others are left
        alone.
        dtype: The type to compute in. A tensor stored in another one is converted, which does copy it.
        ignored: Names (after the prefix) that a checkpoint may hold though the network has no use for them.
        where: The file, for messages.

    Raises:
        CheckpointError: tensors are missing, unknown, of a wrong shape, or not made of floating-point
        numbers.
    """
    wanted = module.state_dict()
    stored = {name.removeprefix(prefix) for name in tensors if name.startswith(prefix)} - set(ignored)
    _check_names(wanted.keys() - stored, stored - wanted.keys(), prefix, where)
    weights: dict[str, Tensor] = {}
    for name, expected in wanted.items():
        tensor = tensors[prefix + name]
        _check(prefix + name, tensor, expected, where)
        weights[name] = tensor if dtype is None else tensor.to(dtype)
    module.load_state_dict(weights, assign=True)
    module.requires_grad_(False).eval()


def _check_names(missing: Collection[str], unknown: Collection[str], prefix: str, where: str) -> None:
    reasons = []
    if missing:
        reasons.append(f"{len(missing)} tensors are missing: {_first([prefix + name for name in missing])}.")
    if unknown:
        reasons.append(
            f"{len(unknown)} tensors have no place in it: {_first([prefix + name for name in unknown])}."
        )
    if reasons:
        raise CheckpointError(
            f"The weights in '{where}' do not fit the network.",
            why=" ".join(reasons),
            hint="The file may be incomplete, or of another kind than its other tensors say: get it again.",
        )


def _check(name: str, tensor: Tensor, expected: Tensor, where: str) -> None:
    if tensor.shape != expected.shape:
        raise CheckpointError(
            f"The weights in '{where}' do not fit the network.",
            why=f"Tensor {name!r} has the shape {list(tensor.shape)}, not {list(expected.shape)}.",
            hint="The file may be damaged, or quantised in a way not known here: get another one.",
        )
    if not tensor.is_floating_point():
        raise CheckpointError(
            f"The weights in '{where}' are not plain numbers.",
            why=f"Tensor {name!r} is stored as {str(tensor.dtype).removeprefix('torch.')}.",
            hint="It may be quantised in a way not known here: get it as bf16, fp16 or fp8.",
        )


def _first(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in sorted(names)[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} ..."
