"""The embedded model on a simulated device takes no more memory than the base says, and what was foretold."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sfumato_memory.records import MemoryRecord, MemoryRecords

from .conftest import Sfumato
from .measured_requests import BASE, REQUESTS

ANEW = "Where more is meant: python -m tests.memory.measured_requests writes the base anew."


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of the requests, drawn in a process that has done nothing else."""
    folder = tmp_path_factory.mktemp("measured")
    command = [sys.executable, "-m", "tests.memory.measured_requests", str(folder)]
    subprocess.run(command, check=True, timeout=300, cwd=BASE.parents[2])
    return folder


@pytest.fixture
def data_folder(measured: Path) -> Path:
    """That of the command line, see `sfumato`."""
    return measured


def test_no_phase_takes_more_than_before(sfumato: Sfumato) -> None:
    outcome = sfumato("memory", "compare", str(BASE), "--threshold", "5%")
    assert outcome.code == 0, f"{outcome.out}\n{outcome.err}\n{ANEW}"
    missing = [line for line in outcome.err.splitlines() if "not measured" in line or "not in the" in line]
    assert missing == []


def test_a_phase_that_took_less_before_is_noticed(sfumato: Sfumato, tmp_path: Path) -> None:
    base = tmp_path / "base.json"
    report = sfumato("memory", "report", "--json").json
    sampling = next(phase for phase in report["items"][-1]["phases"] if phase["phase"] == "sampling")
    tight = BASE.read_text()
    assert str(sampling["peak"]) in tight
    base.write_text(tight.replace(str(sampling["peak"]), str(round(sampling["peak"] * 0.9))))
    outcome = sfumato("memory", "compare", str(base))
    assert outcome.code == 1
    assert "sampling of 'emoji, 64x64, 2 steps' takes 11.1% more" in outcome.err


def test_each_peak_was_foretold(records: MemoryRecords) -> None:
    """From above, and by no more than an eighth."""
    found = records.find()
    assert len(found) == len(REQUESTS)
    for record in found:
        told = [phase for phase in record.phases if phase.predicted]
        assert {"encoding", "sampling", "decoding"} <= {phase.phase for phase in told}
        for phase in told:
            assert phase.peak <= phase.predicted <= phase.peak * 1.125, (record.description, phase)


def test_a_small_device_holds_what_a_large_one_does_not_need_to_share(records: MemoryRecords) -> None:
    streamed = records.find(device="simulated:28M")
    assert [_capacity(record) >= record.peak for record in streamed] == [True]
    assert "resident" in streamed[0].plan
    assert not any(record.retried for record in records.find())
    assert streamed[0].peak < records.find(device="simulated:200M")[0].peak * 0.6


def _capacity(record: MemoryRecord) -> int:
    return int(record.device.removeprefix("simulated:").removesuffix("M")) * 10**6


def test_a_plan_stands_beside_what_such_requests_took(sfumato: Sfumato, tmp_path: Path) -> None:
    request = tmp_path / "request.toml"
    request.write_text('prompt = "a pear"\nsteps = 9\n')
    settings = ("--set", "engine.device=simulated:28M", "--set", "engine.dtype=float32")
    plan = sfumato(*settings, "memory", "plan", str(request), "--steps", "2", "--json")
    assert plan.code == 0, plan.err
    answer = plan.json
    (measured,) = answer["measured"]
    assert (answer["fits"], answer["device"], measured["device"]) == (True, "simulated:28M", "simulated:28M")
    predicted = {phase["phase"]: phase["predicted"] for phase in answer["phases"]}
    peaks = {phase["phase"]: phase["peak"] for phase in measured["phases"]}
    for phase, foretold in predicted.items():
        assert peaks[phase] <= foretold <= peaks[phase] * 1.125
    shown = sfumato(*settings, "memory", "plan", str(request), "--steps", "2")
    assert "transformer" in shown.out
    assert "% resident" in shown.out


def test_a_picture_is_planned_as_it_was_drawn(sfumato: Sfumato, measured: Path) -> None:
    picture = sorted((measured / "pictures").rglob("*.png"))[0]
    plan = sfumato("--set", "engine.device=simulated:200M", "memory", "plan", str(picture))
    assert plan.code == 0, plan.err
    assert plan.out.split()[:2] == ["device", "simulated:200M"]


def test_what_is_no_request_is_refused(sfumato: Sfumato, tmp_path: Path) -> None:
    for name, text in (("a.toml", "prompt ="), ("a.json", "[1]"), ("b.json", '{"stepps": 3}')):
        (tmp_path / name).write_text(text)
        outcome = sfumato("memory", "plan", str(tmp_path / name))
        assert outcome.code == 2, (name, outcome.err)
    assert "There is no file" in sfumato("memory", "plan", str(tmp_path / "absent.png")).err
