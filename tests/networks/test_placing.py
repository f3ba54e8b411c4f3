"""Weights resident, streamed, fetched ahead: the same numbers whatever lies where."""

from __future__ import annotations

import copy
import gc
import pickle
import threading
import weakref
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sfumato_networks.stored.cached import CachedWeight, NumbersKept
from sfumato_networks.stored.moved import MovedNetwork
from sfumato_networks.stored.placing import PlacedWeights, is_streamed, placeable, placed_weights, spare_bytes
from sfumato_networks.stored.plain import PlainWeight
from sfumato_networks.stored.streaming import StreamedWeight
from sfumato_networks.stored.tensor import WeightTensor
from sfumato_networks.stored.transfer import Arriving, PlainTransfer, PrefetchingTransfer
from sfumato_networks.stored.weight import StoredWeight
from sfumato_networks.weights import Destination, build_empty, load_network

WIDTH = 16


class Tiny(nn.Module):
    """All kinds of layers that have weights; `head` is used before the layers that were made before it."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(10, WIDTH)
        self.layers = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(5))
        self.norm = nn.LayerNorm(WIDTH)
        self.picture = nn.Conv2d(WIDTH, WIDTH, 3, padding=1)
        self.head = nn.Linear(WIDTH, WIDTH, bias=False)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.head(self.tokens(ids))
        for layer in self.layers:
            x = self.norm(layer(x).tanh())
        return self.picture(x.transpose(1, 2)[..., None])


IDS = torch.tensor([[1, 2, 3], [4, 5, 9]])


def stored(dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    torch.manual_seed(0)
    return {name: tensor.to(dtype) for name, tensor in Tiny().state_dict().items()}


def loaded(dtype: torch.dtype = torch.float32, *, deferred: bool = False) -> Tiny:
    destination = Destination("cpu", deferred=deferred)
    return load_network(build_empty(Tiny), stored(dtype), torch.float32, destination, where="tiny")


def placed(network: nn.Module) -> PlacedWeights:
    found = placed_weights(network)
    assert found is not None
    return found


def test_a_network_that_is_placed_later_computes_the_same_wherever_its_weights_are() -> None:
    expected = loaded()(IDS)
    network = loaded(deferred=True)
    assert torch.equal(network(IDS), expected)
    weights = placed(network)
    weights.through(PlainTransfer("cpu", copies=True), own_memory=True)
    for budget in (
        0,
        weights.total // 3,
        weights.total // 2,
        weights.total,
        weights.total // 4,
        weights.total,
    ):
        assert weights.place(budget) <= max(budget, weights.fixed_bytes)
        assert torch.equal(network(IDS), expected)
        assert is_streamed(network) is (budget < weights.total)


def test_what_is_streamed_lies_evenly_among_what_is_resident() -> None:
    weights = placed(loaded(deferred=True))
    weights.through(PlainTransfer("cpu", copies=True), own_memory=True)
    weights.place(weights.total * 6 // 10)
    linear = [slot.is_resident for slot in weights.slots if isinstance(slot.module, nn.Linear)]
    assert True in linear
    assert False in linear
    assert all(any(linear[start : start + 3]) for start in range(len(linear) - 2))


def test_what_stays_resident_is_not_brought_again() -> None:
    class Counting(PlainTransfer):
        fetched = 0

        def fetch(self, weight: StoredWeight):  # type: ignore[no-untyped-def]
            self.fetched += 1
            return super().fetch(weight)

    weights = placed(loaded(deferred=True))
    transfer = Counting("cpu", copies=True)
    weights.through(transfer, own_memory=True)
    weights.place(weights.total)
    assert transfer.fetched == len(weights.slots)
    assert not weights.changes_with(weights.total)
    weights.place(weights.total)
    assert transfer.fetched == len(weights.slots)


def test_on_a_cpu_weights_used_as_they_are_mapped_take_no_memory() -> None:
    as_stored, converted = placed(loaded(deferred=True)), placed(loaded(torch.float16, deferred=True))
    assert as_stored.total == as_stored.fixed_bytes
    assert not as_stored.is_streamed
    plain = sum(slot.home.numel() * 4 for slot in converted.slots)
    assert converted.total == converted.fixed_bytes + plain


def test_half_precision_streamed_gives_what_it_gives_converted() -> None:
    expected = loaded(torch.float16)(IDS)
    network = loaded(torch.float16, deferred=True)
    assert is_streamed(network)
    assert torch.equal(network(IDS), expected)


def test_weights_fetched_ahead_by_a_thread_are_those_of_their_turn() -> None:
    expected = loaded(torch.float16)(IDS)
    network = loaded(torch.float16, deferred=True)
    transfer = PrefetchingTransfer("cpu")
    placed(network).through(transfer)
    placed(network).place(0)
    for _ in range(4):  # the order is learned in the first
        assert torch.equal(network(IDS), expected)
    transfer.close()


def test_what_comes_next_is_fetched_while_a_weight_is_in_use() -> None:
    class Recording(PlainTransfer):
        is_ahead = True

        def __init__(self) -> None:
            super().__init__("cpu", copies=True)
            self.asked: list[StoredWeight] = []

        def fetch(self, weight: StoredWeight):  # type: ignore[no-untyped-def]
            self.asked.append(weight)
            return super().fetch(weight)

    network = loaded(deferred=True)
    transfer = Recording()
    weights = placed(network)
    weights.through(transfer, own_memory=True)
    weights.place(0)
    network(IDS)
    in_one_run = len(transfer.asked)
    first = transfer.asked[0]
    network(IDS)
    network(IDS)
    assert transfer.asked.count(first) == 3 + 1  # once a run, and once more ahead of a run to come
    assert len(transfer.asked) <= 3 * in_one_run + 1  # nothing is fetched twice for one use


def test_rows_of_a_streamed_embedding_are_picked_where_it_is_kept() -> None:
    network = loaded(torch.float16, deferred=True)
    weight = network.tokens.weight
    assert isinstance(weight, WeightTensor)
    assert isinstance(weight.stored, StreamedWeight)
    expected = stored(torch.float16)["tokens.weight"].float()[IDS]
    assert torch.equal(network.tokens(IDS), expected)


def test_what_takes_room_in_passing_is_foretold() -> None:
    weights = placed(loaded(torch.float16, deferred=True))
    weights.through(PlainTransfer("cpu", copies=True), own_memory=True)
    largest = WIDTH * WIDTH * 9
    assert weights.passing(0) == largest * (2 + 4)  # the convolution as stored, and its numbers
    assert weights.passing(weights.total) == 0


def test_copies_of_weights_have_what_was_granted() -> None:
    network, other = loaded(deferred=True), loaded(deferred=True)
    assert spare_bytes([network, other]) is None
    placed(network).spare = 7
    assert spare_bytes([network, other]) == 7
    placed(other).spare = 3
    assert spare_bytes([network, other]) == 3
    assert spare_bytes([nn.Linear(1, 1)]) is None


def test_a_network_of_others_making_stays_whole_on_a_cpu() -> None:
    network = nn.Linear(4, 4)
    found = placeable(network, "cpu")
    assert isinstance(found, MovedNetwork)
    assert (found.total, found.fixed_bytes, found.is_streamed) == (0, 0, False)
    assert not found.changes_with(0)
    found.place(0)
    assert network(torch.ones(1, 4)).shape == (1, 4)


class Counted(PlainWeight):
    """Tells how often its numbers were made."""

    made = 0

    def dequantised(self, dtype: torch.dtype) -> Tensor:
        type(self).made += 1
        return super().dequantised(dtype).clone()

    def linear(self, x: Tensor, bias: Tensor | None) -> Tensor:
        return nn.functional.linear(x, self.dequantised(x.dtype), bias)


class AheadTransfer(PlainTransfer):
    """Copies at once what is fetched ahead, and knows which copies are still held."""

    is_ahead = True

    def __init__(self) -> None:
        super().__init__("cpu", copies=True)
        self._copies_made: list[weakref.ref[Any]] = []

    def fetch(self, weight: StoredWeight) -> Arriving:
        arrived = super().fetch(weight)
        self._copies_made.append(weakref.ref(arrived))
        return arrived

    def alive(self) -> int:
        return sum(made() is not None for made in self._copies_made)


@pytest.fixture
def counted() -> type[Counted]:
    return type("FreshlyCounted", (Counted,), {"made": 0})


def test_plain_numbers_are_kept_after_their_first_use_by_many_tokens(counted: type[Counted]) -> None:
    kept = NumbersKept(1 << 20)
    weight = CachedWeight(counted(torch.randn(8, 8).half()), kept)
    x = torch.randn(32, 8)
    first = weight.linear(x, None)
    assert torch.equal(weight.linear(x, None), first)
    assert counted.made == 1
    assert kept.used == 8 * 8 * 4
    weight.linear(x[:1], None)
    assert counted.made == 2  # few tokens go by the stored form


def test_numbers_beyond_the_limit_are_made_each_time(counted: type[Counted]) -> None:
    kept = NumbersKept(300)
    weights = [CachedWeight(counted(torch.randn(8, 8).half()), kept) for _ in range(2)]
    x = torch.randn(32, 8)
    for _ in range(3):
        for weight in weights:
            weight.linear(x, None)
    assert counted.made == 1 + 3
    assert kept.used == 256
    del weight, weights
    assert kept.used == 0


def test_numbers_beyond_a_new_limit_are_let_go_of(counted: type[Counted]) -> None:
    kept = NumbersKept(1 << 20)
    weights = [CachedWeight(counted(torch.randn(8, 8).half()), kept) for _ in range(3)]
    x = torch.randn(32, 8)
    expected = [weight.linear(x, None) for weight in weights]
    kept.limit_to(600)
    assert kept.used == 512
    kept.limit_to(0)
    assert kept.used == 0
    assert all(torch.equal(weight.linear(x, None), y) for weight, y in zip(weights, expected, strict=True))
    assert kept.used == 0


def test_what_keeps_numbers_is_written_down_without_them(counted: type[Counted]) -> None:
    weight = CachedWeight(PlainWeight(torch.randn(8, 8).half()), NumbersKept(1 << 20))
    weight.linear(torch.randn(32, 8), None)
    again = pickle.loads(pickle.dumps(weight))
    assert isinstance(again, PlainWeight)
    assert torch.equal(again.data, weight.inner.tensors[0])


def test_weights_that_come_and_go_many_times_leave_nothing_behind() -> None:
    network = loaded(torch.float16, deferred=True)
    placed = placed_weights(network)
    assert placed is not None
    placed.through(AheadTransfer(), own_memory=True)

    def streamed() -> int:
        gc.collect()
        return sum(type(each) is StreamedWeight for each in gc.get_objects())

    counts = []
    for _ in range(6):
        placed.place(0)
        network(IDS)
        placed.place(placed.total)
        network(IDS)
        counts.append(streamed())
    assert counts[-1] == counts[0]


def test_what_was_fetched_ahead_is_let_go_of_when_a_network_rests() -> None:
    network, transfer = loaded(torch.float16, deferred=True), AheadTransfer()
    placed = placed_weights(network)
    assert placed is not None
    placed.through(transfer, own_memory=True)
    placed.place(0)
    network(IDS)
    network(IDS)
    gc.collect()
    assert transfer.alive() > 0  # the first weight, for another step
    placed.rest()
    gc.collect()
    assert transfer.alive() == 0


def test_two_threads_may_use_one_streamed_network() -> None:
    network = loaded(torch.float16, deferred=True)
    expected, found = network(IDS), []

    def run() -> None:
        found.extend(network(IDS) for _ in range(20))

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 40
    assert all(torch.equal(one, expected) for one in found)


def test_a_streamed_network_can_be_copied() -> None:
    network = loaded(torch.float16, deferred=True)
    assert torch.equal(copy.deepcopy(network)(IDS), network(IDS))
