"""Where the weights of a network lie: on the device, or streamed to it, one by one as they are used."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from sfumato_networks.stored.cached import CachedWeight, NumbersKept
from sfumato_networks.stored.moved import MovedNetwork
from sfumato_networks.stored.streaming import StreamedWeight, WeightStream
from sfumato_networks.stored.tensor import WeightTensor, stored_form
from sfumato_networks.stored.transfer import Transfer, transfer_to

_ATTRIBUTE = "sfumato_placed_weights"


@dataclass
class Slot:
    """A weight of one layer, and the tensor that it is kept in.

    Attributes:
        module: The layer; the weight is its parameter `name`.
        home: As it was read: a tensor in a mapped file, or a `WeightTensor` of one.
        dtype: What is computed in.
        is_resident: Whether it lies on the device; None before it was placed at all.
        streamed: What it is while it is streamed, the same each time: the stream knows its place by it.
    """

    module: nn.Module
    name: str
    home: Tensor
    dtype: torch.dtype
    is_resident: bool | None = None
    streamed: StreamedWeight | None = None

    @property
    def stays_stored(self) -> bool:
        """Whether it is computed with as it is stored: plain numbers would take more than it does."""
        return isinstance(self.home, WeightTensor) or self.home.dtype.itemsize == 1

    @property
    def plain_bytes(self) -> int:
        """What its plain numbers take."""
        return self.home.numel() * self.dtype.itemsize


@dataclass(frozen=True)
class SlotBytes:
    """What a weight takes on its device.

    Attributes:
        resident: Lying there.
        fetched: While it is streamed: as it is stored.
        in_use: In passing while it is resident: plain numbers, where it is stored otherwise.
        in_use_streamed: In passing while it is streamed: what was fetched, and plain numbers made of it.
    """

    resident: int
    fetched: int
    in_use: int
    in_use_streamed: int

    @classmethod
    def of(cls, slot: Slot, *, shares_memory: bool) -> SlotBytes:
        """Of a slot.

        Args:
            shares_memory: Whether the device is the CPU, where what is used as it is mapped takes nothing.
        """
        stored, plain = stored_form(slot.home).nbytes, slot.plain_bytes
        as_it_is = slot.stays_stored or slot.home.dtype == slot.dtype
        resident = 0 if shares_memory and as_it_is else stored if slot.stays_stored else plain
        if isinstance(slot.module, nn.Embedding):  # some rows are picked, wherever it lies
            return cls(resident, 0, 0, 0)
        fetched = 0 if shares_memory else stored
        made = 0 if slot.home.dtype == slot.dtype and not slot.stays_stored else plain
        return cls(resident, fetched, plain if slot.stays_stored else 0, fetched + made)


class Placeable(Protocol):
    """The weights of a network, as they are placed."""

    @property
    def device(self) -> torch.device: ...

    @property
    def total(self) -> int: ...

    @property
    def resident(self) -> int: ...

    @property
    def fixed_bytes(self) -> int: ...

    @property
    def is_streamed(self) -> bool: ...

    @property
    def can_stream(self) -> bool: ...

    def passing(self, budget: int) -> int: ...

    def through(self, transfer: Transfer, *, own_memory: bool = False) -> None: ...

    def keep_numbers(self, kept: NumbersKept) -> None: ...

    def changes_with(self, budget: int) -> bool: ...

    def place(self, budget: int) -> int: ...

    def rest(self) -> None: ...


class PlacedWeights:
    """The weights of one network's operators, each resident on the device or streamed to it.

    Whatever else a network has (norms, biases) is small and always resident. A weight that comes or goes is a
    new parameter of its layer: who has put another in its place takes that back before.

    Args:
        slots: In the order of the network's modules, which is nearly that of their use.
        device: A torch device name.
        fixed_bytes: Of everything else.

    Attributes:
        total: Bytes on the device with all of it resident.
        spare: Bytes that copies of weights may take on the device; None where nobody has said.
    """

    can_stream = True

    def __init__(self, slots: Sequence[Slot], device: str, fixed_bytes: int = 0) -> None:
        self.slots = tuple(slots)
        self.device = torch.device(device)
        self.fixed_bytes = fixed_bytes
        self.spare: int | None = None
        self._kept: NumbersKept | None = None
        self.through(transfer_to(device))

    def through(self, transfer: Transfer, *, own_memory: bool = False) -> None:
        """Weights come by this way from now on.

        Args:
            own_memory: Whether the device has memory of its own, though torch calls it a CPU.
        """
        self._transfer = transfer
        self._stream = WeightStream(transfer)
        shares_memory = self.device.type == "cpu" and not own_memory
        self._bytes = [SlotBytes.of(slot, shares_memory=shares_memory) for slot in self.slots]
        self.total = self.fixed_bytes + sum(each.resident for each in self._bytes)
        for slot in self.slots:
            slot.is_resident = slot.streamed = None

    @property
    def resident(self) -> int:
        """Bytes on the device now, what is fetched in passing aside."""
        there = (
            each.resident for slot, each in zip(self.slots, self._bytes, strict=True) if slot.is_resident
        )
        return self.fixed_bytes + sum(there)

    def passing(self, budget: int) -> int:
        """Bytes that weights take in passing while the network runs, if it is placed within this budget."""
        wanted = self._chosen(budget)
        used = ahead = 0
        for number, each in enumerate(self._bytes):
            if number in wanted:
                used = max(used, each.in_use)
            else:
                used, ahead = max(used, each.in_use_streamed), max(ahead, each.fetched)
        return used + (ahead if self._stream.is_ahead else 0)

    def keep_numbers(self, kept: NumbersKept) -> None:
        """Plain numbers of quantised weights that come from now on are kept, as far as this admits."""
        self._kept = kept

    @property
    def is_streamed(self) -> bool:
        return any(
            not slot.is_resident and each.resident for slot, each in zip(self.slots, self._bytes, strict=True)
        )

    def changes_with(self, budget: int) -> bool:
        """Whether `place` with this budget would move anything."""
        wanted = self._chosen(budget)
        return any(slot.is_resident is not (number in wanted) for number, slot in enumerate(self.slots))

    def place(self, budget: int) -> int:
        """Make as much resident as fits into so many bytes; the rest is streamed. Returns `resident`.

        What was resident and stays so is not moved. Those that are streamed lie evenly among the others, so
        that each can be fetched while others are computed with.
        """
        wanted = self._chosen(budget)
        with torch.inference_mode(False), torch.no_grad():
            for number, slot in enumerate(self.slots):  # first what goes, to have the room
                if number not in wanted and slot.is_resident is not False:
                    self._stream_slot(slot)
            for number, slot in enumerate(self.slots):
                if number in wanted and not slot.is_resident:
                    self._make_resident(slot)
        self.rest()
        return self.resident

    def rest(self) -> None:
        """It is not computed with for now: what was fetched ahead is let go of."""
        self._stream.pause()

    def _chosen(self, budget: int) -> frozenset[int]:
        sizes = [each.resident for each in self._bytes]
        room, total = budget - self.fixed_bytes, self.total - self.fixed_bytes
        if total <= max(room, 0):
            return frozenset(range(len(sizes)))
        share = min((total - max(room, 0)) / total, 1.0)
        chosen, owed, left = [], 0.0, room
        for number, size in enumerate(sizes):
            owed += size * share
            if size and (owed >= size / 2 or size > left):
                owed -= size
                continue
            chosen.append(number)
            left -= size
        return frozenset(chosen)

    def _make_resident(self, slot: Slot) -> None:
        brought = self._transfer.fetch(stored_form(slot.home)).wait()
        if slot.stays_stored:
            kept = self._kept if isinstance(slot.module, nn.Linear) else None
            weight: Tensor = WeightTensor(
                brought if kept is None else CachedWeight(brought, kept), slot.dtype, self.device
            )
        else:
            weight = brought.dequantised(slot.dtype)
        setattr(slot.module, slot.name, nn.Parameter(weight, requires_grad=False))
        slot.is_resident = True

    def _stream_slot(self, slot: Slot) -> None:
        if slot.streamed is None:
            slot.streamed = StreamedWeight(stored_form(slot.home), self._stream)
        weight = WeightTensor(slot.streamed, slot.dtype, self.device)
        setattr(slot.module, slot.name, nn.Parameter(weight, requires_grad=False))
        slot.is_resident = False


def keep_placed(network: nn.Module, placed: PlacedWeights) -> None:
    """Let the network be asked for its placed weights."""
    object.__setattr__(network, _ATTRIBUTE, placed)


def placeable(network: nn.Module, device: str) -> Placeable:
    """The weights of any network, to be placed on its device."""
    return placed_weights(network) or MovedNetwork(network, device)


def placed_weights(network: nn.Module) -> PlacedWeights | None:
    """The placed weights of a network that was loaded to be placed; None for any other."""
    placed: PlacedWeights | None = getattr(network, _ATTRIBUTE, None)
    return placed


def spare_bytes(networks: Iterable[nn.Module]) -> int | None:
    """Bytes that copies of the weights of these networks may take in all; None where nobody has said."""
    placed = (placed_weights(network) for network in networks)
    told = [one.spare for one in placed if one is not None and one.spare is not None]
    return min(told, default=None)


def is_streamed(network: nn.Module) -> bool:
    """Whether any weight of a network is off its device, so that memory there is dear."""
    placed = placed_weights(network)
    return placed is not None and placed.is_streamed
