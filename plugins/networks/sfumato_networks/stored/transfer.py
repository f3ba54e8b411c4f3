"""How weights come from where they are kept to the device that computes."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from sfumato_networks.stored.weight import StoredWeight


class Arriving(Protocol):
    """A weight on its way."""

    def wait(self) -> StoredWeight:
        """The weight on the device, once operators may use it."""
        ...


class Transfer(Protocol):
    """Brings weights to one device."""

    @property
    def is_ahead(self) -> bool:
        """Whether a weight that is fetched early arrives while others are computed with."""
        ...

    def fetch(self, weight: StoredWeight) -> Arriving:
        """Begin to bring it; the weight itself stays where it is."""
        ...


@dataclass(frozen=True)
class Arrived:
    """A weight that is there."""

    weight: StoredWeight

    def wait(self) -> StoredWeight:
        return self.weight


class PlainTransfer:
    """Moves a weight when it is asked for, in the thread that asks.

    Args:
        device: A torch device name.
        copies: Whether weights that lie there already are copied: a simulated device has memory of its own.
    """

    is_ahead = False

    def __init__(self, device: str, *, copies: bool = False) -> None:
        self.device = torch.device(device)
        self._copies = copies

    def fetch(self, weight: StoredWeight) -> Arriving:
        if self._copies:
            return Arrived(weight.with_tensors([tensor.clone() for tensor in weight.tensors]))
        return Arrived(weight.to(self.device))


class PrefetchingTransfer:
    """Copies weights in a thread and, on a GPU, on a stream of its own, while others are computed with.

    What lies in pageable memory goes through two pinned buffers, as only pinned memory is copied without the
    processor waiting; what is pinned already goes straight.

    Args:
        device: A torch device name.
        staging_bytes: Of each of the buffers; larger tensors go in pieces of that.
    """

    is_ahead = True

    def __init__(self, device: str, staging_bytes: int = 64 << 20) -> None:
        self.device = torch.device(device)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sfumato-weights")
        self._on_gpu = self.device.type == "cuda"
        self._stream = torch.cuda.Stream(self.device) if self._on_gpu else None
        self._staging_bytes = staging_bytes
        self._staging: list[_Staging] = []

    def fetch(self, weight: StoredWeight) -> Arriving:
        if self._stream is None:
            return _FromThread(self._thread.submit(weight.to, self.device))
        # What the main stream still does with memory that the allocator hands out again comes first.
        self._stream.wait_stream(torch.cuda.current_stream(self.device))
        return _FromStream(self._thread.submit(self._copied, weight), self.device)

    def close(self) -> None:
        """No further weight is fetched."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _copied(self, weight: StoredWeight) -> tuple[StoredWeight, torch.cuda.Event]:
        with torch.cuda.device(self.device), torch.cuda.stream(self._stream), torch.no_grad():
            copied = weight.with_tensors([self._copy(tensor) for tensor in weight.tensors])
            event = torch.cuda.Event()
            event.record(self._stream)
        return copied, event

    def _copy(self, tensor: Tensor) -> Tensor:
        if tensor.is_cuda or tensor.is_pinned():
            return tensor.to(self.device, non_blocking=True)
        target = torch.empty(tensor.shape, dtype=tensor.dtype, device=self.device)
        source, onto = (each.contiguous().view(-1).view(torch.uint8) for each in (tensor, target))
        for start in range(0, len(source), self._staging_bytes):
            piece = source[start : start + self._staging_bytes]
            buffer = self._next_buffer()
            buffer.memory[: len(piece)].copy_(piece)
            onto[start : start + len(piece)].copy_(buffer.memory[: len(piece)], non_blocking=True)
            buffer.copied.record(self._stream)
        return target

    def _next_buffer(self) -> _Staging:
        """The buffer used longest ago, once what it held has been copied."""
        if len(self._staging) < 2:
            self._staging.append(_Staging(_pinned(self._staging_bytes), torch.cuda.Event()))
        else:
            self._staging.append(self._staging.pop(0))
            self._staging[-1].copied.synchronize()
        return self._staging[-1]


def _pinned(size: int) -> Tensor:
    """Bytes in pinned memory, or in any where the system lends none: then the processor waits for copies."""
    try:
        return torch.empty(size, dtype=torch.uint8, pin_memory=True)
    except RuntimeError:
        return torch.empty(size, dtype=torch.uint8)


@dataclass
class _Staging:
    memory: Tensor
    copied: torch.cuda.Event


@dataclass(frozen=True)
class _FromThread:
    future: Future[StoredWeight]

    def wait(self) -> StoredWeight:
        return self.future.result()


@dataclass(frozen=True)
class _FromStream:
    future: Future[tuple[StoredWeight, torch.cuda.Event]]
    device: torch.device

    def wait(self) -> StoredWeight:
        weight, event = self.future.result()
        current = torch.cuda.current_stream(self.device)
        current.wait_event(event)
        for tensor in weight.tensors:
            tensor.record_stream(current)  # its memory is not to be handed out before that stream is done
        return weight


MakeTransfer = Callable[[str], Transfer]


def transfer_to(device: str) -> Transfer:
    """The way of bringing weights that suits a device."""
    return PrefetchingTransfer(device) if torch.device(device).type == "cuda" else PlainTransfer(device)
