"""Records: kept whole, found by what is asked for, and not for ever."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sfumato.database import Database
from sfumato.events import EventBus, PhaseMemory, Warned, WorkMeasured
from sfumato.listeners import listen
from sfumato.settings import Settings
from sfumato.studio import Studio
from sfumato_memory.query import MemoryRecordsAnswer
from sfumato_memory.recording import record, versions
from sfumato_memory.records import BETWEEN_CLEARINGS, KEPT, MOST_OF_EACH, MemoryRecords

from .conftest import made


def test_a_record_comes_back_as_it_was_kept(records: MemoryRecords) -> None:
    kept = made(5.0, plan="transformer 60 % resident", task="generate", retried=True)
    number = records.add(kept)
    assert records.get(number) == kept.model_copy(update={"id": number})
    assert records.get(number + 1) is None
    assert kept.peak == 1000


def test_records_are_found_by_time_fingerprint_and_device(records: MemoryRecords) -> None:
    records.add(made(1.0))
    records.add(made(2.0, fingerprint="f2_x"))
    records.add(made(3.0, device="cpu"))
    assert [one.at for one in records.find()] == [1.0, 2.0, 3.0]
    assert [one.at for one in records.find(since=2.0)] == [2.0, 3.0]
    assert [one.at for one in records.find(fingerprint="f2_")] == [2.0]
    assert [one.at for one in records.find(fingerprint="f%")] == []
    assert [one.at for one in records.find(device="cuda")] == [1.0, 2.0]
    assert [one.at for one in records.find(most=2)] == [2.0, 3.0]


def test_old_records_and_those_of_which_there_are_many_are_cleared_away(records: MemoryRecords) -> None:
    now = KEPT * 2
    for number in range(MOST_OF_EACH + 20):
        records.add(made(now + number))
    records.add(made(now, device="cpu"))
    records.add(made(now - KEPT - 1, fingerprint="old"))
    records.clear(now)
    found = records.find()
    assert [one.at for one in found if one.device == "cpu"] == [now]
    assert not [one for one in found if one.fingerprint == "old"]
    assert len([one for one in found if one.device == "cuda:0"]) == MOST_OF_EACH
    assert min(one.at for one in found if one.device == "cuda:0") == now + 20


def test_adding_clears_now_and_then(records: MemoryRecords) -> None:
    records.add(made(0.0))
    for number in range(BETWEEN_CLEARINGS):
        records.add(made(KEPT * 2 + number))
    assert min(one.at for one in records.find()) > 0


def test_work_that_was_measured_is_recorded_with_the_versions(tmp_path: Path) -> None:
    studio = _studio(tmp_path)
    phases = (PhaseMemory(phase="sampling", predicted=9, peak=10, seconds=0.5),)
    measured = WorkMeasured(
        task="generate", fingerprint="abc", device="cpu", plan="whole", phases=phases, seconds=2.5
    )
    for event in (measured, Warned(message="wet")):
        record(event, studio)
    (found,) = MemoryRecords(studio.database).find()
    assert (found.fingerprint, found.task, found.phases, found.seconds) == ("abc", "generate", phases, 2.5)
    assert found.versions == versions()
    assert {"sfumato", "torch"} <= set(found.versions)


def test_programs_ask_for_records(tmp_path: Path) -> None:
    studio = _studio(tmp_path)
    for at in (1.0, 2.0):
        MemoryRecords(studio.database).add(made(at))
    answer = studio.ask("memory_records", since=1.5)
    assert isinstance(answer, MemoryRecordsAnswer)
    assert [one.at for one in answer.items] == [2.0]
    assert answer.items[0].phases[1].peak == 1000


def test_another_process_finds_the_records_again(tmp_path: Path) -> None:
    for at in (1.0, 2.0):
        database = Database.in_folder(tmp_path)
        MemoryRecords(database).add(made(at))
        database.close()
    database = Database.in_folder(tmp_path)
    assert [one.at for one in MemoryRecords(database).find()] == [1.0, 2.0]
    database.close()


def test_a_database_that_cannot_be_used_is_told_once_and_in_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    studio = _studio(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "studio.db").write_bytes(b"no database at all, " * 100)
    events = EventBus()
    listen(events, studio)
    for _ in range(3):
        events.emit(WorkMeasured(task="generate", fingerprint="abc", device="cpu"))
    (told,) = caplog.records
    assert "Records of memory" in told.getMessage()
    assert "studio.db cannot be used" in told.getMessage()
    assert told.exc_info is None


def test_records_of_many_processes_come_together(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from sfumato.database import Database;"
        "from sfumato_memory.records import MemoryRecord, MemoryRecords;"
        "records = MemoryRecords(Database.in_folder(Path(sys.argv[1])));"
        "[records.add(MemoryRecord(at=float(n), fingerprint=sys.argv[2], device='cpu')) for n in range(60)]"
    )
    processes = [subprocess.Popen([sys.executable, "-c", program, str(tmp_path), name]) for name in "abc"]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    database = Database.in_folder(tmp_path)
    MemoryRecords(database).clear(0.0)
    found = MemoryRecords(database).find()
    database.close()
    assert sorted((one.fingerprint, one.at) for one in found) == [
        (k, float(n)) for k in "abc" for n in range(60)
    ]


def _studio(folder: Path) -> Studio:
    overrides = {"general.data_folder": str(folder / "data"), "general.output_folder": str(folder / "out")}
    return Studio(Settings.load(file=folder / "settings.toml", environ={}, overrides=overrides))
