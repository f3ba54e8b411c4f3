"""Weights from a file into a network, without a copy where none is needed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from sfumato.errors import CheckpointError
from sfumato_networks.stored.placing import PlacedWeights, Slot, keep_placed
from sfumato_networks.stored.tensor import WeightTensor, stored_form

log = logging.getLogger(__name__)

M = TypeVar("M", bound=nn.Module)

UNUSED = ("text_model.embeddings.position_ids", "encoder.embed_tokens.weight", "logit_scale", "spiece_model")
"""Tensors that some files carry and no network needs; all other surplus ones are worth a warning."""
SMALLEST_PACKED = 64
"""Inputs or outputs below which a layer's weight is not worth packing."""
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


@dataclass(frozen=True)
class Destination:
    """Where the weights of a network go.

    Attributes:
        device: A torch device name.
        deferred: Weights of operators stay where they are read from, until they are placed
            (`sfumato_networks.stored.placing.placed_weights`).
        pack: Makes a packed weight of a linear layer's plain one; None leaves all as they are stored.
    """

    device: str
    deferred: bool = False
    pack: Callable[[Tensor], Tensor] | None = None

    @classmethod
    def of(cls, device: str | Destination) -> Destination:
        return device if isinstance(device, Destination) else cls(device)


def load_network(
    network: M,
    tensors: Mapping[str, Tensor],
    dtype: torch.dtype,
    device: str | Destination,
    *,
    where: str,
) -> M:
    """Make the tensors of a checkpoint the weights of ``network``, which is frozen and set to evaluation.

    Weights of linear layers, embeddings and convolutions that are quantised, or stored in a byte each, stay
    so: they are computed with as they are.

    Args:
        network: One in the checkpoint's layout, as a rule from `build_empty`.
        tensors: The checkpoint's. One that is stored as ``dtype`` stays mapped on a CPU: nothing is read or
        copied. All others are converted and moved one by one, so that no second set of them is ever held.
        dtype: The type to compute in.
        device: A torch device name, or a whole destination.
        where: The file, for messages.

    Raises:
        CheckpointError: tensors are missing, of a wrong shape, or not made of floating-point numbers. Those
        that the network has no use for are warned of.
    """
    destination = Destination.of(device)
    wanted = network.state_dict()
    _check_names(wanted, tensors, where)
    operators = _operator_weights(network)
    weights: dict[str, Tensor] = {}
    slots: list[Slot] = []
    for name, expected in wanted.items():
        tensor = tensors[name]
        _check(name, tensor, expected, where)
        module = operators.get(name)
        if module is None:
            weights[name] = _moved(tensor, dtype, destination.device)
        else:
            slot = Slot(module, "weight", _packed(tensor, module, destination), dtype)
            if destination.deferred:
                slots.append(slot)
            else:
                weights[name] = _resident(slot, destination.device)
            del slot
        del tensor  # before the next one is made
    _assign(network, weights)
    if destination.deferred:
        fixed = sum(weight.nbytes for weight in weights.values())
        placed = PlacedWeights(slots, destination.device, fixed)
        placed.place(0)
        keep_placed(network, placed)
    return network.eval()


def _packed(tensor: Tensor, module: nn.Module, destination: Destination) -> Tensor:
    """The tensor, packed if that is wished for and it is the plain weight of a linear layer of some size."""
    plain = type(tensor) is Tensor and tensor.dtype.itemsize > 1
    if destination.pack is None or not plain or not isinstance(module, nn.Linear):
        return tensor
    return destination.pack(tensor) if min(tensor.shape) >= SMALLEST_PACKED else tensor


def _moved(tensor: Tensor, dtype: torch.dtype, device: str) -> Tensor:
    moved = tensor.to(device, dtype)
    return moved.plain() if isinstance(moved, WeightTensor) else moved


def _resident(slot: Slot, device: str) -> Tensor:
    if slot.stays_stored:
        return WeightTensor(stored_form(slot.home).to(device), slot.dtype)
    return slot.home.to(device, slot.dtype)


def _operator_weights(network: nn.Module) -> dict[str, nn.Module]:
    """The layers whose weights only operators take that know stored forms, by the weights' names."""
    return {
        f"{path}.weight" if path else "weight": module
        for path, module in network.named_modules()
        if isinstance(module, nn.Linear | nn.Conv2d | nn.Embedding)
    }


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
