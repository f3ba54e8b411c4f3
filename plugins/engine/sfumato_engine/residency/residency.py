"""The weights of loaded models on one device: what lies there, what comes for a phase, what leaves for it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch import nn

from sfumato.machine import MachineMemory
from sfumato.models import LoadedModel
from sfumato_engine.counting_allocator import CountingAllocator
from sfumato_engine.memory_meter import meter_for
from sfumato_engine.residency.decision import Decision, DoesNotFit, Key, PartState, decide, in_words, smallest
from sfumato_engine.residency.phases import Phase, parts_in, turn_of
from sfumato_engine.residency.telemetry import Telemetry
from sfumato_networks.device_memory import device_memory
from sfumato_networks.stored.cached import NumbersKept
from sfumato_networks.stored.placing import Placeable, placeable, placed_weights
from sfumato_networks.stored.tensor import WeightTensor
from sfumato_networks.stored.transfer import PlainTransfer, transfer_to

TIGHTER = 0.75
"""By what the room is multiplied after the memory has run out although a plan said that it would not."""
IDLE_TURN = -1000
"""Models kept for later leave before all parts of the models in use."""


@dataclass(frozen=True)
class MemoryLimits:
    """What weights and work may take.

    Attributes:
        budget: Bytes of the device; 0 for all that is free.
        reserve: Bytes of a GPU that are left to others.
        keep_numbers: Bytes that plain numbers of quantised weights may take.
    """

    budget: int = 0
    reserve: int = 0
    keep_numbers: int = 0


class Residency:
    """Where the weights of all loaded models lie, on one device.

    Args:
        device: A torch device name.
        allocator: Of a simulated device, whose memory is counted apart from the machine's.

    Attributes:
        limits: In force from the next phase on.
        tightened: How often the memory has run out in this request.
        plan: How weights were placed in this request, where not all were resident.
        telemetry: Of the request that is worked on.
        peak: The most that the newest request took at once, once it is done.
    """

    def __init__(self, device: str, allocator: CountingAllocator | None = None) -> None:
        self.device = device
        self.limits = MemoryLimits()
        self.tightened = 0
        self.plan: dict[str, str] = {}
        self.telemetry: Telemetry | None = None
        self.peak = 0
        self._allocator = allocator
        self._models: list[LoadedModel] = []  # the one used longest ago first
        self._in_use: list[LoadedModel] = []
        self._release: Callable[[LoadedModel], None] = lambda model: None
        self._numbers = NumbersKept(0)
        self._transfer = PlainTransfer(device, copies=True) if allocator else transfer_to(device)

    @contextmanager
    def at_work(self, release: Callable[[LoadedModel], None]) -> Iterator[Telemetry]:
        """One request is worked on.

        Args:
            release: Takes back whatever adapters have put in place of a model's weights.
        """
        self._release, self._in_use, self.tightened, self.plan = release, [], 0, {}
        with self._allocator or nullcontext():
            self.telemetry = Telemetry(meter_for(self.device, self._allocator))
            try:
                yield self.telemetry
            finally:
                self.telemetry.close()
                self.peak, self.telemetry = self.telemetry.peak, None
                self._in_use = []

    def begin(self, phase: Phase) -> None:
        """A phase of the request begins."""
        if self.telemetry is not None:
            self.telemetry.begin(phase)

    @contextmanager
    def off_the_device(self) -> Iterator[None]:
        """What is made meanwhile lies in the machine's memory: weights as they are read."""
        with self._allocator.paused() if self._allocator else nullcontext():
            yield

    def take_in(self, model: LoadedModel) -> None:
        """A model is used by this request; it may have been loaded just now."""
        known = any(model is each for each in self._models)
        self._models = [*(each for each in self._models if each is not model), model]
        self._in_use = [*(each for each in self._in_use if each is not model), model]
        if known:
            return
        for network in model.networks.values():
            placed = self._of(network)
            placed.keep_numbers(self._numbers)
            placed.through(self._transfer, own_memory=self._allocator is not None)
            if self._allocator is not None:
                placed.place(0)  # what is mapped as it is computed with lies on the CPU alone
                self._allocator.count(_fixed_tensors(network))

    def keep_only(self, models: Sequence[LoadedModel]) -> None:
        """All others are let go of."""
        self._models = [each for each in self._models if any(each is model for model in models)]

    def settle(self, model: LoadedModel, working: int) -> bool:
        """Place all of a model at once if that leaves room for the work of every phase.

        Returns:
            Whether it did; otherwise nothing has moved.
        """
        states = self.states()
        used = [state.key for state in states if self._model(state.key) is model]
        self._grant(model, 0)
        room = self.room()
        try:
            decision = decide(states, used, working, room)
        except DoesNotFit:
            return False
        others = [state for state in states if self._is_in_use(state.key) and state.key not in used]
        gives_way = any(decision.budgets[state.key] < state.resident for state in others)
        if gives_way or in_words(states, decision, used) != "whole":
            return False
        self._carry_out(states, decision)
        self._grant(model, room - decision.peak)
        return True

    def _grant(self, model: LoadedModel, spare: int) -> None:
        """So many bytes are left for copies of the model's weights."""
        for network in _networks(model):
            placed = placed_weights(network)
            if placed is not None:
                placed.spare = spare

    def foresee(self, phase: Phase, models: Sequence[LoadedModel], working: int) -> Decision:
        """What a phase would take; nothing moves. Raises `DoesNotFit`."""
        states = self.states()
        return decide(states, self._used(states, phase, models), working, self.room())

    def spare(self, phase: Phase, model: LoadedModel) -> int:
        """Bytes that the work of a phase could have, with everything gone that it does not use."""
        states = self.states()
        used = self._used(states, phase, [model])
        passing = max((state.passing(state.least) for state in states if state.key in used), default=0)
        held = sum(state.least if state.key in used else state.fixed for state in states)
        return self.room() - held - passing

    def enter(self, phase: Phase, models: Sequence[LoadedModel], working: int) -> None:
        """Place what a phase computes with, and make room for its work.

        Where there is not enough by any plan, as little as can be lies there: the plan may be too careful.

        Args:
            models: That are computed with.
            working: Bytes that they need beside weights.
        """
        states = self.states()
        used = self._used(states, phase, models)
        room = self.room()
        try:
            decision = decide(states, used, working, room)
        except DoesNotFit as short:
            decision = smallest(states, used, short.needed)
        self._numbers.limit_to(min(self.limits.keep_numbers, max(room - decision.peak, 0) // 2))
        self._carry_out(states, decision)
        self._rest_all_but(used)
        if self.telemetry is not None:
            self.telemetry.placed()
            self.telemetry.foretell(decision.peak + self._others() + self._numbers.used)
        told = in_words(states, decision, used)
        if told != "whole":
            self.plan[phase] = told

    def foretell_again(self, phase: Phase, models: Sequence[LoadedModel], working: int) -> None:
        """Adapters have come since the phase was entered: what it takes now; nothing moves."""
        if self.telemetry is not None:
            states = self.states()
            used = self._used(states, phase, models)
            passing = max((state.passing(state.resident) for state in states if state.key in used), default=0)
            self.telemetry.foretell(self.telemetry.held() + passing + working)

    def leave_all(self) -> None:
        """Every weight leaves the device; whatever is used next comes again."""
        for model in self._models:
            self._release(model)
            for network in model.networks.values():
                self._of(network).place(0)
        kind = torch.device(self.device).type
        if kind != "cpu":  # torch keeps freed memory, where no other program has it
            getattr(torch, kind).empty_cache()

    def release_adapters(self) -> None:
        """Copies that adapters have made of weights are taken back; they are put in force again when used."""
        for model in self._models:
            self._release(model)

    def tighten(self) -> None:
        """The memory has run out: all leaves, and from now on less is taken for free."""
        self.tightened += 1
        self.leave_all()

    def room(self) -> int:
        """Bytes that weights and work may take together."""
        room = self.memory().available + self._resident() + self._numbers.used  # these give way
        if torch.device(self.device).type != "cpu":
            room -= self.limits.reserve
        if self.limits.budget:
            room = min(room, self.limits.budget - (self._others() if self._is_apart else 0))
        return int(room * TIGHTER**self.tightened)

    @property
    def _is_apart(self) -> bool:
        """Whether all that this process holds on the device is there for its models' sake."""
        return self._allocator is not None or torch.device(self.device).type != "cpu"

    def _others(self) -> int:
        """Bytes that this process holds on the device beside weights: encoded prompts, adapters."""
        held = self.telemetry.held() if self.telemetry is not None else 0
        return max(held - self._resident() - self._numbers.used, 0)

    def _resident(self) -> int:
        return sum(self._of(network).resident for model in self._models for network in _networks(model))

    def memory(self) -> MachineMemory:
        """What is free of the device, and what it has."""
        found = device_memory(self.device)
        if self._allocator is None or self._allocator.capacity is None:
            return found
        capacity = self._allocator.capacity
        return MachineMemory(capacity - self._allocator.current, capacity)

    def used(self, phase: Phase, models: Sequence[LoadedModel]) -> tuple[Key, ...]:
        """The parts that compute in a phase of these models."""
        return tuple(self._used(self.states(), phase, models))

    def _carry_out(self, states: Sequence[PartState], decision: Decision) -> None:
        moving = [
            state.key
            for state in states
            if self._network(state.key).changes_with(decision.budgets[state.key])
        ]
        for number in dict.fromkeys(key[0] for key in moving):
            self._release(self._models[number])
        goes_first = sorted(moving, key=lambda key: decision.budgets[key] - self._network(key).resident)
        for key in goes_first:
            self._network(key).place(decision.budgets[key])

    def _rest_all_but(self, used: Collection[Key]) -> None:
        for number, model in enumerate(self._models):
            for kind, network in model.networks.items():
                if (number, kind) not in used:
                    self._of(network).rest()

    def states(self) -> list[PartState]:
        """All parts of all loaded models."""
        return [
            self._state((number, kind), model, network)
            for number, model in enumerate(self._models)
            for kind, network in model.networks.items()
        ]

    def _state(self, key: Key, model: LoadedModel, network: nn.Module) -> PartState:
        placed = self._of(network)
        number, kind = key
        turn = turn_of(kind) if self._is_in_use(key) else IDLE_TURN + number
        return PartState(
            key,
            model.info.name,
            total=placed.total,
            resident=placed.resident,
            fixed=placed.fixed_bytes,
            passing=placed.passing,
            turn=turn,
            can_stream=placed.can_stream,
        )

    def _used(
        self, states: Sequence[PartState], phase: Phase, models: Sequence[LoadedModel]
    ) -> Collection[Key]:
        return [
            state.key
            for state in states
            if any(self._model(state.key) is model for model in models)
            and state.part in parts_in(phase, self._model(state.key).networks)
        ]

    def _model(self, key: Key) -> LoadedModel:
        return self._models[key[0]]

    def _network(self, key: Key) -> Placeable:
        return self._of(self._model(key).networks[key[1]])

    def _is_in_use(self, key: Key) -> bool:
        return any(self._model(key) is model for model in self._in_use)

    def _of(self, network: nn.Module) -> Placeable:
        return placeable(network, self.device)


def _networks(model: LoadedModel) -> list[nn.Module]:
    networks: Mapping[str, nn.Module] = model.networks
    return list(networks.values())


def _fixed_tensors(network: nn.Module) -> list[torch.Tensor]:
    """All that is no weight of an operator, and lies on the device from the beginning."""
    tensors = [*network.parameters(), *network.buffers()]
    return [tensor for tensor in tensors if not isinstance(tensor, WeightTensor)]
