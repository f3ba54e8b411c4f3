"""Stored weights as tensors: what a layer holds as its `weight`, and torch's operators take as one.

A linear layer, an embedding or a convolution needs no replacement: `torch.nn.functional` hands the call to
the stored form. All else works, too, through plain numbers that are made for it and not kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map_only

from sfumato_networks.stored.plain import PlainWeight
from sfumato_networks.stored.stacked import StackedWeight
from sfumato_networks.stored.weight import StoredWeight

_aten: Any = torch.ops.aten


class WeightTensor(Tensor):
    """A weight that is stored in a form of its own.

    Its `dtype` is the type that is computed in, and its `device` where: the stored form may lie elsewhere.

    Args:
        stored: The weight.
        dtype: A floating-point type.
        device: By default where the stored form lies.
    """

    stored: StoredWeight

    @staticmethod
    def __new__(
        cls, stored: StoredWeight, dtype: torch.dtype, device: torch.device | str | None = None
    ) -> WeightTensor:
        made: WeightTensor = Tensor._make_wrapper_subclass(
            cls, stored.shape, dtype=dtype, device=stored.device if device is None else torch.device(device)
        )
        return made

    def __init__(
        self, stored: StoredWeight, dtype: torch.dtype, device: torch.device | str | None = None
    ) -> None:
        self.stored = stored

    def __repr__(self, **_: Any) -> str:  # type: ignore[override]
        return f"WeightTensor({self.stored.kind}, {list(self.shape)}, {self.dtype}, {self.device})"

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        """The stored form is shared, as nobody writes to it; the copy may still be moved and converted."""
        copied: Tensor = WeightTensor(self.stored, self.dtype, self.device)
        if isinstance(self, nn.Parameter):
            copied = nn.Parameter(copied, requires_grad=self.requires_grad)
        memo[id(self)] = copied
        return copied

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return WeightTensor, (self.stored, self.dtype, self.device)

    def plain(self) -> Tensor:
        """Its numbers, in its type and on its device."""
        return self.stored.dequantised(self.dtype).to(self.device)

    @classmethod
    def __torch_function__(
        cls, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        # What is asked of weights while they are loaded and computed with never gets to the dispatcher: the
        # first call there imports torch's distributed tensors and sympy, which takes half a second.
        operator = _OPERATORS.get(func)
        if operator is not None:
            found = operator(*args, **(kwargs or {}))
            if found is not NotImplemented:
                return found
        with torch._C.DisableTorchFunctionSubclass():
            return func(*args, **(kwargs or {}))

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func._schema.is_mutable:
            _refuse_writing(func, args, kwargs)
            return func(*_all_plain(args), **_all_plain(kwargs))
        with torch.inference_mode(False):  # views of what is made here outlive inference mode
            form_keeping = _FORM_KEEPING.get(func)
            if form_keeping is not None:
                found = form_keeping(*args, **kwargs)
                if found is not NotImplemented:
                    return found
            if func._can_decompose():  # elsewhere than in inference mode, that is done before it gets here
                return func.decompose(*args, **kwargs)
            return func(*_all_plain(args), **_all_plain(kwargs))


def _all_plain(arguments: Any) -> Any:
    return tree_map_only(WeightTensor, WeightTensor.plain, arguments)


def _refuse_writing(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    given = {
        **dict(zip((argument.name for argument in func._schema.arguments), args, strict=False)),
        **kwargs,
    }
    for argument in func._schema.arguments:
        is_written = argument.alias_info is not None and argument.alias_info.is_write
        if is_written and any(
            isinstance(leaf, WeightTensor) for leaf in tree_leaves(given.get(argument.name))
        ):
            raise TypeError(f"{func} would write to a weight in its stored form, which nothing does")


def stored_form(tensor: Tensor) -> StoredWeight:
    """The stored form of any tensor: a plain one's is itself."""
    return tensor.stored if isinstance(tensor, WeightTensor) else PlainWeight(tensor.detach())


class _LinearOfStored(torch.autograd.Function):
    """Gradients for the input alone: adapters are trained on weights that stay as they are."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: WeightTensor, bias: Tensor | None) -> Tensor:
        ctx.weight = weight
        return weight.stored.linear(x, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        of_bias = gradient.reshape(-1, gradient.shape[-1]).sum(0) if ctx.needs_input_grad[2] else None
        return gradient @ ctx.weight.stored.dequantised(gradient.dtype).to(gradient.device), None, of_bias


def _linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    if not isinstance(weight, WeightTensor):  # the input or the bias is one
        input, bias = _as_plain(input), None if bias is None else _as_plain(bias)
        return F.linear(input, weight, bias)
    place = input.device.type
    if torch.is_autocast_enabled(place) and input.dtype != torch.float64:
        input = input.to(torch.get_autocast_dtype(place))
    if bias is not None and bias.dtype != input.dtype:
        bias = bias.to(input.dtype)
    if torch.is_grad_enabled() and input.requires_grad:
        result: Tensor = _LinearOfStored.apply(input, weight, bias)
        return result
    return weight.stored.linear(input, bias)


def _embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    *_: Any,
    **__: Any,
) -> Tensor:
    assert isinstance(weight, WeightTensor)
    if max_norm is not None:
        raise TypeError("an embedding with a stored weight has no maximal norm: it would be written to")
    return weight.stored.embedding(input, weight.dtype)


def _as_plain(tensor: Tensor) -> Tensor:
    return tensor.plain() if isinstance(tensor, WeightTensor) else tensor


def _conv2d(input: Tensor, weight: Tensor, *args: Any, **kwargs: Any) -> Any:
    if torch.is_grad_enabled() and input.requires_grad:
        return NotImplemented  # so that the stored form is what is kept for the gradient
    return F.conv2d(_as_plain(input), _as_plain(weight), *args, **kwargs)


def _same(weight: Tensor, *_: Any, **__: Any) -> Any:
    assert isinstance(weight, WeightTensor)
    return WeightTensor(weight.stored, weight.dtype, weight.device)


def _set_data(weight: Tensor, data: Tensor) -> None:
    """How a module's weights are moved and converted."""
    if not isinstance(weight, WeightTensor) or not isinstance(data, WeightTensor):
        raise TypeError("a weight in its stored form has no plain data, and is no plain weight's data")
    with torch._C.DisableTorchFunctionSubclass():
        weight.data = data
    weight.stored = data.stored


def _set_items(target: Tensor, *_: Any) -> Any:
    if isinstance(target, WeightTensor):
        raise TypeError("a part of a weight in its stored form cannot be written to")
    return NotImplemented


def _to_copy(
    weight: Any, *, dtype: Any = None, device: Any = None, non_blocking: bool = False, **_: Any
) -> Any:
    """Another compute type costs nothing; one without fractions is a matter of plain numbers."""
    if dtype is not None and not dtype.is_floating_point:
        return NotImplemented
    stored = weight.stored
    if device is not None:
        stored = stored.to(device, non_blocking=non_blocking)
    return WeightTensor(stored, dtype or weight.dtype, device or weight.device)


def _cat(tensors: Sequence[Tensor], dim: int = 0) -> Any:
    weights = [tensor for tensor in tensors if tensor.shape != (0,)]  # of any shape, as torch has it
    if dim != 0 or any(weight.shape[1:] != weights[0].shape[1:] for weight in weights):
        return NotImplemented
    if torch.is_grad_enabled() and any(weight.requires_grad for weight in weights):
        return NotImplemented
    first = next(weight for weight in weights if isinstance(weight, WeightTensor))
    return WeightTensor(StackedWeight([stored_form(weight) for weight in weights]), first.dtype, first.device)


def _slice(weight: Any, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1) -> Any:
    if dim != 0 or step != 1:
        return NotImplemented
    first, last, _ = slice(start, end).indices(weight.shape[0])
    return WeightTensor(weight.stored.rows(first, max(last, first)), weight.dtype, weight.device)


def _split(weight: Any, size: int | Sequence[int], dim: int = 0) -> Any:
    if dim != 0:
        return NotImplemented
    outputs = weight.shape[0]
    if not isinstance(size, int):
        sizes = size
    elif size > 0:
        sizes = [min(size, outputs - at) for at in range(0, outputs, size)]
    else:
        return NotImplemented
    if sum(sizes) != outputs:
        return NotImplemented  # torch says what is wrong
    starts = [sum(sizes[:number]) for number in range(len(sizes))]
    return [_slice(weight, 0, start, start + rows) for start, rows in zip(starts, sizes, strict=True)]


_FORM_KEEPING: Mapping[Any, Callable[..., Any]] = {
    _aten.detach.default: _same,
    _aten.alias.default: _same,
    _aten._to_copy.default: _to_copy,
    _aten.cat.default: _cat,
    _aten.slice.Tensor: _slice,
    _aten.split.Tensor: _split,
    _aten.split_with_sizes.default: _split,
}

_OPERATORS: Mapping[Any, Callable[..., Any]] = {
    F.linear: _linear,
    F.embedding: _embedding,
    F.conv2d: _conv2d,
    Tensor.detach: _same,
    Tensor.data.__set__: _set_data,  # type: ignore[attr-defined]
    Tensor.__setitem__: _set_items,
    torch.cat: _cat,
}
