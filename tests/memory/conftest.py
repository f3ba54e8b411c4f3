"""The command line in this process, with a data folder of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest

from sfumato.cli import main
from sfumato.database import Database
from sfumato.events import PhaseMemory
from sfumato_memory.records import MemoryRecord, MemoryRecords


@dataclass(frozen=True)
class Outcome:
    """What a run of the command line left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Sfumato(Protocol):
    """Runs `sfumato` with these words."""

    def __call__(self, *words: str) -> Outcome: ...


@pytest.fixture
def data_folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def sfumato(data_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Sfumato:
    def run(*words: str) -> Outcome:
        capsys.readouterr()
        folders = {"general.data_folder": data_folder, "general.output_folder": tmp_path / "pictures"}
        chosen = [word for key, folder in folders.items() for word in ("--set", f"{key}={folder}")]
        code = main([*chosen, *words])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run


@pytest.fixture
def records(data_folder: Path) -> Iterator[MemoryRecords]:
    """Those of the data folder that the command line uses."""
    database = Database.in_folder(data_folder)
    yield MemoryRecords(database)
    database.close()


def made(at: float, sampling: int = 1000, **fields: Any) -> MemoryRecord:
    """A record whose phases are encoding, of 500 bytes, and sampling."""
    phases = (
        PhaseMemory(phase="encoding", predicted=500, peak=500, seconds=1.0),
        PhaseMemory(phase="sampling", predicted=1100, peak=sampling, seconds=2.0),
    )
    told = {"fingerprint": "f1", "device": "cuda:0", "versions": {"sfumato": "1.0"}, "seconds": 3.0}
    return MemoryRecord(**{"at": at, "phases": phases, "description": "emoji, 64x64", **told, **fields})
