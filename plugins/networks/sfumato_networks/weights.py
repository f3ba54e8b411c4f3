"""Weights from a file into a network, without a copy where none is needed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from sfumato.errors import CheckpointError
from sfumato_networks.stored.tensor import WeightTensor, stored_form

log = logging.getLogger(__name__)

M = TypeVar("M", bound=nn.Module)

UNUSED = ("text_model.embeddings.position_ids", "encoder.embed_tokens.weight", "logit_scale", "spiece_model")
"""Tensors that some files carry and no network needs; all other surplus ones are worth a warning."""
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
    """The network that ``build`` makes, without memory for its weights: `load_network` brings them."""
    with torch.device("meta"), _WithoutRandomStart():
        return build()


def load_network(
    network: M, tensors: Mapping[str, Tensor], dtype: torch.dtype, device: str, *, where: str
) -> M:
    """Make the tensors of a checkpoint the weights of ``network``, which is frozen and set to evaluation.

    Args:
        network: One in the checkpoint's layout, as a rule from `build_empty`.
        tensors: The checkpoint's. One that is stored as ``dtype`` stays mapped on a CPU: nothing is read or
        copied. All others are converted and moved one by one, so that no second set of them is ever held.
        dtype: The type to compute in.
        device: A torch device name.
        where: The file, for messages.

    Raises:
        CheckpointError: tensors are missing, of a wrong shape, or not made of floating-point numbers. Those
        that the network has no use for are warned of.
    """
    wanted = network.state_dict()
    _check_names(wanted, tensors, where)
    operators = _operator_weights(network)
    weights: dict[str, Tensor] = {}
    for name, expected in wanted.items():
        tensor = tensors[name]
        _check(name, tensor, expected, where)
        if name in operators and _stays_stored(tensor):
            weights[name] = WeightTensor(stored_form(tensor).to(device), dtype)
        else:
            moved = tensor.to(device, dtype)
            weights[name] = moved.plain() if isinstance(moved, WeightTensor) else moved
        del tensor  # before the next one is made
    _assign(network, weights)
    return network.eval()


def _operator_weights(network: nn.Module) -> frozenset[str]:
    """The names of weights that are only ever taken by operators that know stored forms."""
    return frozenset(
        f"{path}.weight" if path else "weight"
        for path, module in network.named_modules()
        if isinstance(module, nn.Linear | nn.Conv2d | nn.Embedding)
    )


def _stays_stored(tensor: Tensor) -> bool:
    """Whether plain numbers of a compute type would take more memory than it does."""
    return isinstance(tensor, WeightTensor) or tensor.dtype.itemsize == 1


def _assign(network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    # `load_state_dict` does this too, but looks through all names once for every module: an eighth of all the
    # time that a mapped checkpoint takes.
    modules = dict(network.named_modules(remove_duplicate=False))
    for name, tensor in weights.items():
        path, _, attribute = name.rpartition(".")
        is_buffer = attribute in modules[path]._buffers
        value = tensor if is_buffer else nn.Parameter(tensor, requires_grad=False)
        setattr(modules[path], attribute, value)


def _check_names(wanted: Collection[str], stored: Collection[str], where: str) -> None:
    missing = sorted(name for name in wanted if name not in stored)
    if missing:
        more = " ..." if len(missing) > _SHOWN else ""
        raise CheckpointError(
            f"The weights in '{where}' do not fit the network.",
            why=f"{len(missing)} tensors are missing: {', '.join(map(repr, missing[:_SHOWN]))}{more}.",
            hint="The file may be incomplete, or of another kind than its other tensors say: get it again.",
        )
    surplus = [name for name in stored if name not in wanted and not name.endswith(UNUSED)]
    if surplus:
        log.warning("%d tensors of '%s' are not used, the first is %s", len(surplus), where, min(surplus))


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
