"""A simulated device on the CPU: what operators make is counted, and a limit is kept, so that every way of
placing models can be tried where there is no GPU."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from sfumato_networks.stored.tensor import WeightTensor

_COMPOSITE = torch._C.DispatchKey.CompositeImplicitAutograd


class CountingAllocator(TorchDispatchMode):
    """Counts, while it is entered, every storage that an operator makes, until nobody holds it any more.

    A storage counts once however many tensors view it. Tensors that were there before, and mapped files, do
    not count unless `count` is told of them. What a kernel of torch needs only while it runs is not seen. The
    same work gives the same figures each time, as nothing is rounded or kept for later.

    It holds for the thread that enters it; several may enter the same one, and what they make is one sum.

    Args:
        capacity: Bytes of the device; None for as many as are asked for.

    Attributes:
        current: Bytes that are counted now.
        peak: The most since it was made, or since `reset_peak`.
    """

    def __init__(self, capacity: int | None = None) -> None:
        super().__init__()
        self.capacity = capacity
        self.current = 0
        self.peak = 0
        self._sizes: dict[int, int] = {}
        self._lock = threading.RLock()  # the end of a storage may come while another one is being counted
        self._thread = threading.local()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Nothing is compiled under it, and torch's compiler takes seconds to import."""
        return False

    def reset_peak(self) -> None:
        """Let the most count from what is held now."""
        with self._lock:
            self.peak = self.current

    def count(self, tensors: Iterable[Tensor]) -> None:
        """Count tensors that no operator made under it, until they die: weights that lie there already.

        Raises:
            torch.OutOfMemoryError: they would pass the capacity; none of them is counted then.
        """
        self._take(_storages(list(tensors)))

    def counts(self, tensor: Tensor) -> bool:
        """Whether a tensor lies on this device."""
        return tensor.untyped_storage()._cdata in self._sizes

    @contextmanager
    def paused(self) -> Iterator[None]:
        """What this thread makes meanwhile belongs to the machine, not to the device."""
        before = self._is_paused
        self._thread.paused = True
        try:
            yield
        finally:
            self._thread.paused = before

    @property
    def _is_paused(self) -> bool:
        return getattr(self._thread, "paused", False)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if self._is_paused:
            return func(*args, **kwargs)
        if any(issubclass(one, WeightTensor) for one in types):
            return NotImplemented  # it takes the call apart, and what it does comes here
        if _is_composite(func):  # in inference mode its parts would not come here by themselves
            with self:
                return func.decompose(*args, **kwargs)
        before = {storage._cdata: storage.nbytes() for storage in _storages((args, kwargs))}
        made = func(*args, **kwargs)
        self._take(one for one in _storages(made) if before.get(one._cdata) != one.nbytes())
        return made

    def _take(self, storages: Iterable[torch.UntypedStorage]) -> None:
        """Count storages, or what they have grown by."""
        with self._lock:
            grown = {}
            for storage in storages:
                more = storage.nbytes() - self._sizes.get(storage._cdata, 0)
                if more and storage.device.type != "meta":
                    grown[storage._cdata] = storage, more
            asked = sum(more for _, more in grown.values())
            if asked > 0 and self.capacity is not None and self.current + asked > self.capacity:
                raise torch.OutOfMemoryError(
                    f"The simulated device is out of memory. Tried to allocate {asked} bytes; "
                    f"{self.current} of {self.capacity} are in use."
                )
            for key, (storage, more) in grown.items():
                if key not in self._sizes:
                    weakref.finalize(storage, self._let_go, key).atexit = False
                self._sizes[key] = self._sizes.get(key, 0) + more
                self.current += more
            self.peak = max(self.peak, self.current)

    def _let_go(self, key: int) -> None:
        with self._lock:
            self.current -= self._sizes.pop(key)


def _storages(tree: Any) -> list[torch.UntypedStorage]:
    """Of all tensors among arguments or results; of weights in their stored form, what they are stored in."""
    found: list[torch.UntypedStorage] = []
    for leaf in tree_leaves(tree):
        if isinstance(leaf, torch.UntypedStorage):
            found.append(leaf)
        elif isinstance(leaf, WeightTensor):
            found += (part.untyped_storage() for part in leaf.stored.tensors)
        elif isinstance(leaf, Tensor) and leaf.layout is torch.strided:
            found.append(leaf.untyped_storage())
    return found


@cache
def _is_composite(func: Any) -> bool:
    """Whether an operator is made of others alone."""
    if not isinstance(func, torch._ops.OpOverload) or not func._can_decompose():
        return False
    return torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), _COMPOSITE)
