"""Summaries and comparisons: what is one kind, what has grown, what has no counterpart."""

from __future__ import annotations

import pytest

from sfumato_memory.chart import spark_line
from sfumato_memory.comparison import compare
from sfumato_memory.summaries import measured_peaks, summaries

from .conftest import made


def test_records_of_one_request_device_and_version_are_one_summary() -> None:
    alike = [made(1.0, 1000), made(2.0, 3000), made(3.0, 1100)]
    others = [made(4.0, device="cpu"), made(5.0, versions={"sfumato": "1.1"}), made(6.0, fingerprint="f2")]
    first, *rest = summaries([*alike, *others])
    assert (first.count, first.first, first.last, len(rest)) == (3, 1.0, 3.0, 3)
    encoding, sampling = first.phases
    assert (sampling.peak, sampling.highest, sampling.predicted) == (1100, 3000, 1100)
    assert (sampling.error, encoding.error) == (0.0, 0.0)
    assert len(summaries([*alike, *others], by_version=False)) == 3
    assert measured_peaks(alike) == {"encoding": 500, "sampling": 1100}


def test_what_was_foretold_too_high_is_an_error_above_nothing() -> None:
    (found,) = summaries([made(1.0, 1000)])
    assert found.phases[1].error == pytest.approx(0.1)
    (unknown,) = summaries([made(1.0, 0)])
    assert unknown.phases[1].error is None


def test_a_phase_that_takes_more_than_the_threshold_has_grown() -> None:
    found = compare(summaries([made(1.0, 1000)]), summaries([made(2.0, 1060)]))
    assert [(one.phase, one.before, one.after) for one in found.differences] == [
        ("encoding", 500, 500),
        ("sampling", 1000, 1060),
    ]
    assert [one.phase for one in found.grown(0.05)] == ["sampling"]
    assert found.grown(0.06) == []
    assert found.missing == ()


def test_of_several_versions_the_newest_is_compared() -> None:
    base = summaries([made(1.0, 100), made(2.0, 1000, versions={"sfumato": "1.1"})])
    (_, sampling) = compare(base, summaries([made(3.0, 1000)])).differences
    assert sampling.before == 1000


def test_what_has_no_counterpart_is_told() -> None:
    base = summaries([made(1.0), made(2.0, fingerprint="f2", description="gone")])
    head = summaries([made(3.0, phases=made(0.0).phases[1:]), made(4.0, device="cpu", description="new")])
    found = compare(base, head)
    assert found.missing == (
        "gone on cuda:0: not measured again",
        "new on cpu: not in the base",
        "emoji, 64x64 on cuda:0: no peak of encoding any more",
    )


def test_a_chart_goes_from_the_lowest_to_the_highest() -> None:
    assert spark_line([10, 20, 80]) == "▁▂█"
    assert spark_line([7, 7]) == "▄▄"
    assert spark_line([]) == ""
    assert spark_line([10, 20, 80], encoding="ascii") == "_.#"


def test_peaks_stay_in_a_chart_that_has_no_room_for_all() -> None:
    values = [10] * 99 + [50] + [10] * 100
    line = spark_line(values, width=20)
    assert len(line) == 20
    assert line.count("█") == 1
