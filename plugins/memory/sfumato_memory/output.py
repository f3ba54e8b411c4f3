"""Figures as people read them."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from sfumato.cli.output import print_facts, print_lines, print_table
from sfumato_memory.chart import spark_line
from sfumato_memory.comparison import Difference
from sfumato_memory.records import MemoryRecord
from sfumato_memory.summaries import PhaseSummary, Summary, short_name

UNKNOWN = "-"


def size(number: int) -> str:
    """Bytes: "3.21 GB"."""
    for unit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if number >= unit:
            return f"{number / unit:.4g} {name}"
    return f"{number} B"


def percent(share: float | None) -> str:
    return UNKNOWN if share is None else f"{share * 100:+.1f} %"


def print_report(found: Sequence[Summary]) -> None:
    """A row for each phase of each request; what is the same as above is left out."""
    rows: list[tuple[str, ...]] = []
    for one in found:
        head = (
            one.name,
            one.fingerprint[:8],
            one.device,
            one.versions.get("sfumato", UNKNOWN),
            str(one.count),
            f"{one.seconds:.2f} s",
        )
        for number, phase in enumerate(one.phases or (PhaseSummary(phase=UNKNOWN),)):
            rows.append((*(head if number == 0 else ("",) * len(head)), *_phase_cells(phase)))
    headers = ("request", "fingerprint", "device", "version", "count", "time")
    print_table((*headers, "phase", "peak", "highest", "predicted", "error", "phase time"), rows)


def _phase_cells(phase: PhaseSummary) -> tuple[str, ...]:
    return (
        phase.phase,
        size(phase.peak) if phase.peak else UNKNOWN,
        size(phase.highest) if phase.highest else UNKNOWN,
        size(phase.predicted) if phase.predicted else UNKNOWN,
        percent(phase.error),
        f"{phase.seconds:.2f} s",
    )


def print_trends(records: Sequence[MemoryRecord]) -> None:
    """A line for each request and device: its highest peaks over time."""
    trends: dict[tuple[str, str], list[MemoryRecord]] = {}
    for record in records:
        if record.peak:
            trends.setdefault((record.fingerprint, record.device), []).append(record)
    rows = []
    for (fingerprint, device), members in trends.items():
        peaks = [record.peak for record in members]
        line = spark_line(peaks, encoding=sys.stdout.encoding)
        name = f"{short_name(members[-1].description or fingerprint)}, {device}"
        rows.append((name, line, f"{size(min(peaks))} to {size(max(peaks))}, {size(peaks[-1])} last"))
    if rows:
        print_lines("")
        print_table(("peak over time", "", ""), rows)


def print_differences(differences: Sequence[Difference], threshold: float) -> None:
    """All of them; what grew or shrank by more than the threshold is marked."""
    rows = [
        (
            one.summary.name,
            one.summary.device,
            one.phase,
            size(one.before),
            size(one.after),
            percent(one.growth),
            "GROWN" if one.growth > threshold else "less" if one.growth < -threshold else "",
        )
        for one in differences
    ]
    print_table(("request", "device", "phase", "before", "after", "change", ""), rows)


def print_plan(plan: dict[str, Any], measured: Mapping[str, int]) -> None:
    """What a request will take.

    Args:
        plan: What the task "memory_plan" answered, as a dictionary.
        measured: Peaks of such requests by phase, in bytes, as far as there were any.
    """
    print_facts(
        [
            ("device", plan["device"]),
            ("budget", size(plan["budget"])),
            ("fits", "yes" if plan["fits"] else "no"),
        ]
    )
    rows = []
    for phase in plan["phases"]:
        name = phase["phase"]
        known = size(measured[name]) if name in measured else UNKNOWN
        head = (
            name,
            phase["plan"] or "does not fit",
            size(phase["predicted"]),
            known,
            size(phase["working"]),
        )
        parts: list[dict[str, Any]] = list(phase["parts"]) or [{}]
        for number, part in enumerate(parts):
            rows.append((*(head if number == 0 else ("",) * len(head)), *_part_cells(part)))
    print_lines("")
    headers = ("phase", "weights", "predicted", "measured", "work", "model", "part", "on the device", "of")
    print_table(headers, rows)
    print_lines(*plan["notes"])


def _part_cells(part: dict[str, Any]) -> tuple[str, ...]:
    if not part:
        return (UNKNOWN,) * 4
    return part["model"], part["part"], size(part["resident"]), size(part["total"])
