"""Pictures on one core with one thread: finished, the same, and with what they took on record."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from benchmarks.one_core import CASES, difference, drawn_apart, request_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems bind no process to a core")


@pytest.fixture(scope="module", params=CASES)
def drawn(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What a picture took as started by default, and on one core."""
    folder = tmp_path_factory.mktemp("one_core")
    fields = request_of(request.param, folder)
    return [drawn_apart(request.param, folder, fields, one_core=one_core) for one_core in (False, True)]


def test_the_picture_is_the_one_that_more_cores_draw(drawn: list[dict[str, Any]]) -> None:
    default, one = drawn
    assert default["cores"] == len(os.sched_getaffinity(0))
    assert one["cores"] == 1 or not shutil.which("taskset")
    assert one["threads"] == 1
    assert one["picture"] != default["picture"]
    assert difference(one["picture"], default["picture"]) <= 2, "threads change the order of sums, no more"


def test_what_it_took_is_on_record(drawn: list[dict[str, Any]], tmp_path: Path) -> None:
    for told in drawn:
        record = tmp_path / "record.json"
        record.write_text(json.dumps(told))
        kept = json.loads(record.read_text())
        assert kept["wall"] > 0
        assert kept["cpu"] > 0
        assert kept["peak_bytes"] > 2**20
        assert {"encoding", "sampling"} <= {phase["phase"] for phase in kept["phases"]}
        assert all(phase["seconds"] >= 0 for phase in kept["phases"])
