"""Pictures on one core with one thread: finished, the same, and with what they took on record."""

from __future__ import annotations

import os
import shutil
import sys

import pytest
from benchmarks.one_core import (
    CASES,
    DEFAULT,
    ONE_CORE,
    ONE_THREAD,
    WAYS,
    Told,
    difference,
    drawn_apart,
    request_of,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems bind no process to a core")

MOST_BY_ROUNDING = 2
"""Of 255: threads change the order of sums, no more."""

Drawn = dict[str, dict[str, Told]]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Drawn:
    """What each picture took in each way."""
    folder = tmp_path_factory.mktemp("one_core")
    requests = {case: request_of(case, folder) for case in CASES}
    return {way: drawn_apart(requests, folder, way) for way in WAYS}


@pytest.mark.parametrize("case", CASES)
def test_the_picture_is_the_one_that_more_cores_draw(drawn: Drawn, case: str) -> None:
    default, one_thread, one_core = (drawn[way][case] for way in (DEFAULT, ONE_THREAD, ONE_CORE))
    assert default["cores"] == one_thread["cores"] == len(os.sched_getaffinity(0))
    assert one_core["cores"] == 1 or not shutil.which("taskset")
    assert one_core["threads"] == one_thread["threads"] == 1
    assert len({told["picture"] for told in (default, one_thread, one_core)}) == 3
    assert difference(one_core["picture"], one_thread["picture"]) == 0
    assert difference(one_core["picture"], default["picture"]) <= MOST_BY_ROUNDING


def test_pictures_that_differ_are_told_apart(drawn: Drawn) -> None:
    first, second = (drawn[ONE_CORE][case]["picture"] for case in CASES)
    assert difference(first, second) > MOST_BY_ROUNDING


@pytest.mark.parametrize("way", WAYS)
def test_what_it_took_is_on_record(drawn: Drawn, way: str) -> None:
    for told in drawn[way].values():
        assert told["wall"] > 0
        assert told["cpu"] > 0
        assert told["peak_bytes"] > 2**20
        assert {"encoding", "sampling"} <= {phase["phase"] for phase in told["phases"]}
        assert all(phase["seconds"] >= 0 for phase in told["phases"])
