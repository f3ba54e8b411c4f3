"""Memory figures: the container's limit, sources that fail, and what is kept over time."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from sfumato.database import Database
from sfumato.machine import container_memory
from sfumato.memory import DeviceMemory, MemoryFigures, MemorySnapshot, snapshot
from sfumato.memory_log import DAY, KEPT, MINUTE, MemoryLog
from sfumato.registries import Registries

NOW = 1_800_000_000.0


def test_the_limit_of_a_container_counts(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("700\n")
    (tmp_path / "memory.stat").write_text("anon 100\ninactive_file 300\n")
    memory = container_memory(tmp_path)
    assert memory is not None
    assert (memory.available, memory.total) == (600, 1000)


def test_no_container_or_no_limit_is_no_limit(tmp_path: Path) -> None:
    assert container_memory(tmp_path) is None
    for name, text in (("max", "max"), ("current", "1"), ("stat", "anon 1")):
        (tmp_path / f"memory.{name}").write_text(text)
    assert container_memory(tmp_path) is None


def test_a_source_that_fails_is_left_out_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    def broken(workspace: Mapping[str, Any]) -> MemoryFigures:
        raise RuntimeError("the driver is gone")

    def whole(workspace: Mapping[str, Any]) -> MemoryFigures:
        return MemoryFigures(devices=(DeviceMemory(device="cuda:0", total=10, free=4),))

    registries = Registries()
    registrar = registries.memory_sources.registrar("test")
    registrar.add("broken", broken, label="Broken")
    registrar.add("whole", whole, label="Whole")
    registrar.close()
    registrar.commit()
    registries.settle()
    workspace: dict[str, Any] = {}
    with caplog.at_level(logging.WARNING):
        first = snapshot(registries, workspace, "job 1")
        second = snapshot(registries, workspace)
    assert [device.device for device in first.devices] == ["cuda:0"] == [d.device for d in second.devices]
    assert [record.message for record in caplog.records if "driver is gone" in record.message] == [
        "Memory figures of 'broken' are left out: RuntimeError: the driver is gone"
    ]
    assert first.job == "job 1"
    assert 0 < first.process < first.total
    assert 0 < first.available <= first.total


@pytest.fixture
def log(tmp_path: Path) -> MemoryLog:
    return MemoryLog(Database.in_folder(tmp_path))


def sample(at: float, process: int = 100, process_id: int = 1) -> MemorySnapshot:
    return MemorySnapshot(at=at, total=1000, available=500, process=process, process_id=process_id)


def test_samples_come_back_whole_and_in_order(log: MemoryLog) -> None:
    device = DeviceMemory(device="cuda:0", label="A GPU", total=9, free=3, allocated=2, reserved=4, peak=5)
    samples = [
        sample(NOW - 2),
        sample(NOW - 1).model_copy(update={"devices": (device,), "job": "abc"}),
        sample(NOW),
    ]
    for one in samples:
        log.add(one)
    assert log.since(NOW - 10, NOW + 10) == samples
    assert log.since(NOW - 1, NOW - 1) == samples[1:2]
    assert log.since(NOW + 1, NOW + 2) == []


def test_another_process_reads_what_one_has_written(tmp_path: Path) -> None:
    MemoryLog(Database.in_folder(tmp_path)).add(sample(time.time()))
    assert len(MemoryLog(Database.in_folder(tmp_path)).since(0)) == 1


def test_thinned_out_samples_keep_the_peak_and_both_processes(log: MemoryLog) -> None:
    for second in range(300):
        log.add(sample(NOW + second, process=900 if second == 123 else 100))
        log.add(sample(NOW + second, process=50, process_id=2))
    found = log.since(NOW, NOW + 1000, most=20)
    first = [one for one in found if one.process_id == 1]
    second_process = [one for one in found if one.process_id == 2]
    assert 15 <= len(first) <= 20
    assert 15 <= len(second_process) <= 20
    assert [one.at for one in first if one.process == 900] == [NOW + 123]
    assert [one.at for one in found] == sorted(one.at for one in found)


def test_old_samples_are_thinned_out_and_then_dropped(log: MemoryLog) -> None:
    minute = NOW - 2 * DAY - (NOW - 2 * DAY) % MINUTE
    for second in range(0, 120, 10):
        log.add(sample(minute + second))
    log.add(sample(NOW - KEPT - 1))
    log.add(sample(NOW))
    log.add(sample(NOW + 1))
    log.clear(NOW)
    assert [one.at for one in log.since(0, NOW + 2)] == [minute + 50, minute + 110, NOW, NOW + 1]
