"""Meters: the peak of a phase, and of the phase alone."""

from __future__ import annotations

import sys
import threading
import time

import pytest
import torch

from sfumato_engine.counting_allocator import CountingAllocator
from sfumato_engine.memory_meter import PolledMeter, ProcessMeter, SimulatedMeter, meter_for

LARGE = 64 * 2**20


def test_a_simulated_device_is_measured_to_the_byte() -> None:
    allocator = CountingAllocator()
    meter = meter_for("cpu", allocator)
    assert isinstance(meter, SimulatedMeter)
    with allocator:
        torch.zeros(1000)
        meter.start_phase()
        kept = torch.zeros(10)
        assert (meter.current(), meter.peak()) == (kept.nbytes, kept.nbytes)


def test_main_memory_has_a_peak_that_was_given_back_before_it_is_asked() -> None:
    meter = meter_for("cpu")
    if sys.platform == "linux" and not isinstance(meter, ProcessMeter):
        pytest.skip("this container does not let Linux count its peak anew")
    meter.start_phase()
    before = meter.current()
    large = torch.ones(LARGE, dtype=torch.uint8)
    time.sleep(0.05)  # for a meter that looks now and then
    del large
    assert LARGE * 0.9 < meter.peak() - before < LARGE * 1.5
    meter.start_phase()
    assert meter.peak() - before < LARGE * 0.5
    meter.close()


def test_a_meter_that_asks_sees_what_comes_and_goes_between_two_questions() -> None:
    held, seen = [100], threading.Event()

    def read() -> int:
        if held[0] == 900 and threading.current_thread() is not threading.main_thread():
            seen.set()
        return held[0]

    meter = PolledMeter(read)
    held[0] = 900
    assert seen.wait(10)
    held[0] = 200
    deadline = time.monotonic() + 10
    while meter.peak() != 900 and time.monotonic() < deadline:
        time.sleep(0.001)
    assert (meter.peak(), meter.current()) == (900, 200)
    meter.start_phase()
    assert meter.peak() == 200
    meter.close()
    assert "memory meter" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_keeps_its_peak_itself() -> None:
    meter = meter_for("cuda")
    meter.start_phase()
    before = meter.current()
    torch.zeros(LARGE, dtype=torch.uint8, device="cuda")
    assert meter.peak() - before >= LARGE
