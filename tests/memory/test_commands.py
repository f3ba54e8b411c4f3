"""`sfumato memory`: what is printed, and when it fails."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from sfumato_memory.records import MemoryRecords

from .conftest import Sfumato, made


def test_the_report_shows_phases_beside_what_was_foretold(sfumato: Sfumato, records: MemoryRecords) -> None:
    records.add(made(1.0))
    records.add(made(2.0, 2_000_000))
    outcome = sfumato("memory", "report")
    assert outcome.code == 0
    head, encoding, sampling, _, _, trend = outcome.out.splitlines()
    assert head.split()[:4] == ["request", "fingerprint", "device", "version"]
    for cell in ("emoji, 64x64", "cuda:0", "500 B", "+0.0 %"):
        assert cell in encoding
    for cell in ("sampling", "1 MB", "2 MB", "1.1 kB", "-99.9 %", "2.00 s"):
        assert cell in sampling
    assert "▁█" in trend
    assert "1 kB to 2 MB, 2 MB last" in trend


def test_a_report_is_of_what_is_asked_for(sfumato: Sfumato, records: MemoryRecords) -> None:
    records.add(made(time.time() - 10 * 86400, description="older"))
    records.add(made(time.time(), description="newer", device="cpu"))
    assert [one["description"] for one in sfumato("memory", "report", "--json").json["items"]] == [
        "older",
        "newer",
    ]
    for words in (("--since", "7d"), ("--device", "cpu"), ("--since", time.strftime("%Y-%m-%d"))):
        (item,) = sfumato("memory", "report", "--json", *words).json["items"]
        assert item["description"] == "newer"
    assert "There are no such records" in sfumato("memory", "report", "--fingerprint", "zz").err


def test_growth_beyond_the_threshold_fails(sfumato: Sfumato, records: MemoryRecords, tmp_path: Path) -> None:
    records.add(made(1.0, 1000))
    base = tmp_path / "base.json"
    base.write_text(sfumato("memory", "report", "--json").out)
    later = time.time() + 60
    records.add(made(later, 1040))
    assert sfumato("memory", "compare", str(base)).code == 0
    records.add(made(later + 1, 1200, versions={"sfumato": "1.1"}))
    outcome = sfumato("memory", "compare", str(base))
    assert outcome.code == 1
    assert "GROWN" in outcome.out
    assert "Memory has grown in 1 of 2 phases." in outcome.err
    assert "+20.0 %" in outcome.out
    assert sfumato("memory", "compare", str(base), "--threshold", "25%").code == 0
    shrunk = sfumato("memory", "compare", "1.1", "--against", "1.0")
    assert shrunk.code == 0
    assert "less" in shrunk.out


@pytest.mark.parametrize("base", ["1.0", "1", "2020-01-01", "20w"])
def test_a_base_is_a_version_a_record_a_date_or_an_age(
    sfumato: Sfumato, records: MemoryRecords, base: str
) -> None:
    records.add(made(1_500_000_000.0, 1000))
    records.add(made(time.time(), 1100, versions={"sfumato": "1.1"}))
    outcome = sfumato("memory", "compare", base, "--json")
    assert outcome.code == 1
    answer = outcome.json
    assert [(one["phase"], one["before"], one["after"]) for one in answer["differences"]] == [
        ("encoding", 500, 500),
        ("sampling", 1000, 1100),
    ]
    assert answer["grown"] == 1


def test_one_record_is_compared_with_what_came_after_it(sfumato: Sfumato, records: MemoryRecords) -> None:
    records.add(made(1.0, 3000))
    number = records.add(made(2.0, 1000))
    records.add(made(3.0, 1010))
    records.add(made(4.0, 9000, fingerprint="another"))
    outcome = sfumato("memory", "compare", str(number), "--json")
    assert outcome.code == 0
    assert [one["after"] for one in outcome.json["differences"]] == [500, 1010]
    assert outcome.json["missing"] == []


def test_what_cannot_be_compared_is_said(sfumato: Sfumato, records: MemoryRecords, tmp_path: Path) -> None:
    none = sfumato("memory", "compare", "1.0")
    assert (none.code, "There are no records yet." in none.err) == (2, True)
    records.add(made(1.0))
    alone = sfumato("memory", "compare", "1.0")
    assert (alone.code, "Nothing can be compared" in alone.err) == (1, True)
    assert "emoji, 64x64 on cuda:0: not measured again" in alone.err
    wrong = tmp_path / "wrong.json"
    wrong.write_text(json.dumps({"items": 3}))
    assert "is no report" in sfumato("memory", "compare", str(wrong)).err
    for words in (("compare", "1.0", "--threshold", "much"), ("report", "--since", "yesterday")):
        assert sfumato("memory", *words).code == 2


@pytest.mark.parametrize(
    ("written", "grown"), [("5%", True), ("11 %", False), ("11", False), ("0.5%", True), ("0", True)]
)
def test_a_threshold_is_a_percentage(
    sfumato: Sfumato, records: MemoryRecords, written: str, grown: bool
) -> None:
    records.add(made(1.0, 1000))
    records.add(made(2.0, 1100, versions={"sfumato": "1.1"}))
    assert sfumato("memory", "compare", "1.0", "--threshold", written).code == int(grown)


@pytest.mark.parametrize("written", ["0.05", ".5", "5%%", "-1", "nan", "inf", "", "%"])
def test_a_threshold_that_may_mean_another_one_is_refused(
    sfumato: Sfumato, records: MemoryRecords, written: str
) -> None:
    records.add(made(1.0))
    records.add(made(2.0, versions={"sfumato": "1.1"}))
    outcome = sfumato("memory", "compare", "1.0", f"--threshold={written}")
    assert (outcome.code, "Error" in outcome.err) == (2, True)


def test_a_base_from_another_machine_is_compared_with_all_that_is_here(
    sfumato: Sfumato, records: MemoryRecords, tmp_path: Path
) -> None:
    records.add(made(1.0, 1000))
    base = tmp_path / "base.json"
    item = {
        "fingerprint": "f1",
        "device": "cuda:0",
        "last": 9e9,
        "phases": [{"phase": "sampling", "peak": 900}],
    }
    base.write_text(json.dumps({"made": 9e9, "items": [item]}))
    (found,) = sfumato("memory", "compare", str(base), "--json").json["differences"]
    assert (found["before"], found["after"]) == (900, 1000)


def test_a_base_of_these_records_is_compared_with_what_came_after_it_although_a_clock_went_back(
    sfumato: Sfumato, records: MemoryRecords, tmp_path: Path
) -> None:
    for at, peak in ((5000.0, 700), (6000.0, 1000)):
        records.add(made(at, peak, versions={"sfumato": str(peak)}))
    base = tmp_path / "base.json"
    base.write_text(sfumato("memory", "report", "--json", "--since", "1970-01-01T01:35+00:00").out)
    assert "Nothing can be compared" in sfumato("memory", "compare", str(base)).err
    records.add(made(4000.0, 1200))
    found = sfumato("memory", "compare", str(base), "--json").json["differences"]
    assert [(one["before"], one["after"]) for one in found] == [(500, 500), (1000, 1200)]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "EOF"),
        ('{"made": 1, "items": [{"finger', "EOF"),
        ('{"made": 1, "version": 2}', "another version of Sfumato"),
        ('{"made": 1, "items": [{"fingerprint": "f1"}]}', "items.0.device"),
        (
            '{"made": 1, "items": [{"fingerprint": "f", "device": "c", '
            '"phases": [{"phase": "x", "peak": -5}]}]}',
            "items.0.phases.0.peak",
        ),
    ],
)
def test_a_file_that_is_no_report_is_told_with_what_is_wrong_in_it(
    sfumato: Sfumato, tmp_path: Path, text: str, why: str
) -> None:
    base = tmp_path / "base.json"
    base.write_text(text)
    outcome = sfumato("memory", "compare", str(base))
    assert outcome.code == 2
    assert "is no report" in outcome.err
    assert why in outcome.err


@pytest.mark.parametrize("base", ["²", "٣", "x" * 5000, "\0", "/", "9" * 30])
def test_a_base_that_is_nothing_is_refused(sfumato: Sfumato, records: MemoryRecords, base: str) -> None:
    for _ in range(3):
        records.add(made(1.0))
    outcome = sfumato("memory", "compare", base)
    assert (outcome.code, "There is no record for" in outcome.err) == (2, True)


def test_names_are_one_short_line_whatever_they_are(sfumato: Sfumato, records: MemoryRecords) -> None:
    records.add(made(1.0, description="a\n\x1b[2Jb" + "m" * 500 + ", 64x64"))
    records.add(made(2.0, 3000, description="a\n\x1b[2Jb" + "m" * 500 + ", 64x64", versions={"sfumato": "2"}))
    for words in (("report",), ("compare", "1.0")):
        outcome = sfumato("memory", *words)
        assert "\x1b" not in outcome.out + outcome.err
        assert max(map(len, (outcome.out + outcome.err).splitlines())) < 220
        assert "mmm, 64x64" in outcome.out


def test_a_plan_is_told_where_records_cannot_be_read(sfumato: Sfumato, data_folder: Path) -> None:
    data_folder.mkdir()
    (data_folder / "studio.db").write_bytes(b"no database at all, " * 100)
    plan = sfumato("memory", "plan", "a pear", "--json")
    assert plan.code == 0
    assert plan.json["measured"] == []
    assert "What such requests took is not known" in plan.err
