"""The simulated device: what it counts, for how long, and that it refuses what does not fit."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F

from sfumato_engine.counting_allocator import CountingAllocator
from sfumato_engine.shortage import is_shortage
from sfumato_networks.stored.plain import PlainWeight
from sfumato_networks.stored.tensor import WeightTensor


@pytest.fixture(params=[False, True], ids=["with_gradients", "inference_mode"])
def allocator(request: pytest.FixtureRequest) -> Iterator[CountingAllocator]:
    with torch.inference_mode(request.param):
        yield CountingAllocator()


def test_a_storage_counts_once_and_until_its_last_view_is_gone(allocator: CountingAllocator) -> None:
    with allocator:
        whole = torch.zeros(100, 10)
        part = whole.view(10, 100)[3:].transpose(0, 1)
        assert allocator.current == 4000
    del whole
    assert allocator.current == 4000
    del part
    assert allocator.current == 0
    assert allocator.peak == 4000


def test_what_was_there_before_does_not_count(allocator: CountingAllocator) -> None:
    before = torch.zeros(1000)
    with allocator:
        view = before[10:].reshape(-1)
        view.add_(1.0)
        assert allocator.current == 0
        allocator.count([before, view])
        assert allocator.current == 4000
    del before, view
    assert allocator.current == 0


def test_a_peak_is_that_of_the_phase(allocator: CountingAllocator) -> None:
    with allocator:
        kept = torch.zeros(100)
        torch.zeros(1000)
        assert (allocator.current, allocator.peak) == (400, 4400)
        allocator.reset_peak()
        assert allocator.peak == 400
        kept + 1.0
    assert allocator.peak == 800


def test_what_an_operator_makes_on_its_way_counts_too(allocator: CountingAllocator) -> None:
    """In inference mode torch shows operators as they are called, and nothing of what they are made of."""
    square = torch.eye(32)
    with allocator:
        torch.linalg.multi_dot([square, square, square])
    assert allocator.peak == 2 * square.nbytes  # the first product, and the second


def test_an_output_that_grows_counts_as_large_as_it_becomes(allocator: CountingAllocator) -> None:
    x = torch.ones(50)
    with allocator:
        grown = torch.empty(0)
        torch.add(x, x, out=grown)
        assert allocator.current == 200
        torch.cat([x, x], out=grown.resize_(0))
        assert allocator.current == 400
    del grown
    assert allocator.current == 0


def test_a_stored_weight_counts_as_it_is_stored(allocator: CountingAllocator) -> None:
    narrow, x = torch.randn(8, 16, dtype=torch.float16), torch.ones(2, 16)
    with allocator:
        weight = WeightTensor(PlainWeight(narrow.clone()), torch.float32)
        assert allocator.current == 256
        allocator.reset_peak()
        F.linear(x, weight)
        assert allocator.current == 256
        assert allocator.peak == 256 + 8 * 16 * 4 + 2 * 8 * 4  # plain numbers and the product
    other = CountingAllocator()
    other.count([weight])
    assert other.current == 256


def test_results_are_those_without_it(allocator: CountingAllocator) -> None:
    torch.manual_seed(1)
    layer, x = torch.nn.TransformerEncoderLayer(16, 2, 32, batch_first=True).eval(), torch.randn(2, 5, 16)
    with torch.inference_mode():
        alone = layer(x)
    with allocator, torch.no_grad():
        found = layer(x)
    torch.testing.assert_close(found, alone)


def test_what_would_pass_the_capacity_is_refused_and_forgotten() -> None:
    allocator = CountingAllocator(capacity=10_000)
    with allocator:
        kept = torch.zeros(2000)
        with pytest.raises(torch.OutOfMemoryError, match=r"out of memory.*8000 of 10000") as caught:
            torch.zeros(1000)
        assert is_shortage(caught.value)
        assert (allocator.current, allocator.peak) == (8000, 8000)
        torch.zeros(500)  # exactly what is left
    assert (allocator.peak, kept.numel()) == (10_000, 2000)
    with pytest.raises(torch.OutOfMemoryError):
        allocator.count([torch.zeros(1000)])
    assert allocator.current == 8000


def test_what_is_made_while_paused_belongs_to_the_machine(allocator: CountingAllocator) -> None:
    with allocator:
        with allocator.paused():
            aside = torch.zeros(1000)
        copy = aside.clone()
        assert allocator.current == copy.nbytes


def test_several_threads_are_one_sum() -> None:
    allocator = CountingAllocator()

    def work() -> None:
        with allocator:
            for _ in range(50):
                kept = torch.zeros(100) + 1.0
            del kept

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    with allocator:
        mine = torch.zeros(10)
    for thread in threads:
        thread.join()
    assert allocator.current == mine.nbytes
    assert allocator.peak >= 800
