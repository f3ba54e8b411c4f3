"""Timing that survives a busy machine: CPU time beside wall time, runners taking turns, medians quoted."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
Cell = str | float | int


@dataclass(frozen=True)
class Timing:
    """What one run took, in seconds; `cpu` is user and system time of the process that did the work."""

    cpu: float
    wall: float


def time_call(work: Callable[[], Any]) -> Timing:
    """Run `work` in this process; all its threads count."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Timing(time.process_time() - cpu, time.perf_counter() - wall)


def time_child(command: Sequence[str], environ: Mapping[str, str] | None = None) -> Timing:
    """Run a program to its end, start of the interpreter included.

    Raises:
        RuntimeError: it failed; the message has the end of what it said.
    """
    with tempfile.TemporaryFile() as said:
        wall = time.perf_counter()
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, env={**os.environ, **(environ or {})}
        )
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - wall
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            said.seek(0)
            raise RuntimeError(f"{' '.join(command)} failed:\n{said.read().decode(errors='replace')[-2000:]}")
    return Timing(usage.ru_utime + usage.ru_stime, wall)


def take_turns(runners: Mapping[str, Callable[[], Timing]], rounds: int) -> dict[str, Timing]:
    """Median timings of runners that take turns, after one uncounted run each."""
    for run in runners.values():
        run()
    timings: dict[str, list[Timing]] = {name: [] for name in runners}
    for _ in range(rounds):
        for name, run in runners.items():
            timings[name].append(run())
    return {name: median(found) for name, found in timings.items()}


def median(timings: Sequence[Timing]) -> Timing:
    """CPU and wall medians, each by itself."""
    return Timing(
        statistics.median(timing.cpu for timing in timings),
        statistics.median(timing.wall for timing in timings),
    )


@dataclass
class Report:
    """A table that is printed and kept in benchmarks/results as JSON and Markdown.

    Args:
        name: Name of the result files.
        title: What is compared.
        aim: What the project wants to reach.
        setting: Everything needed to judge the numbers: steps, threads, rounds ...
    """

    name: str
    title: str
    aim: str
    setting: Mapping[str, Cell]
    rows: list[dict[str, Cell]] = field(default_factory=list)

    def add(self, case: str, timings: Mapping[str, Timing], *, peer: str) -> None:
        """One row a runner, with the share of the peer's time that it took."""
        base = timings[peer]
        for runner, timing in timings.items():
            self.rows.append(
                {
                    "case": case,
                    "runner": runner,
                    "CPU s": round(timing.cpu, 4),
                    "wall s": round(timing.wall, 4),
                    "CPU, peer = 1": round(timing.cpu / base.cpu, 3),
                    "wall, peer = 1": round(timing.wall / base.wall, 3),
                }
            )

    def table(self) -> str:
        """The rows as a Markdown table, padded so that it also reads well in a terminal."""
        columns = list(dict.fromkeys(column for row in self.rows for column in row))
        lines = [columns, *([_shown(row.get(column, "")) for column in columns] for row in self.rows)]
        widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
        padded = [
            " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines
        ]
        padded.insert(1, " | ".join("-" * width for width in widths))
        return "".join(f"| {line} |\n" for line in padded)

    def finish(self) -> None:
        """Print the table and write both files."""
        machine = machine_facts()
        facts = "; ".join(f"{key}: {value}" for key, value in {**self.setting, **machine}.items())
        text = f"# {self.title}\n\n{self.table()}\nAim: {self.aim}\n\n{facts}.\n"
        print(text)
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{self.name}.md").write_text(text, "utf-8")
        content = {
            "title": self.title,
            "aim": self.aim,
            "setting": dict(self.setting),
            "machine": machine,
            "rows": self.rows,
        }
        (RESULTS / f"{self.name}.json").write_text(json.dumps(content, indent=2) + "\n", "utf-8")


def machine_facts() -> dict[str, Cell]:
    """Where the numbers come from, without naming the machine."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count() or 0,
        "system": platform.system(),
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "diffusers", "transformers", "sfumato-kernel")},
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _shown(value: Cell) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def python_child(code: str) -> list[str]:
    """The command line that runs a piece of code in a fresh interpreter."""
    return [sys.executable, "-c", code]
