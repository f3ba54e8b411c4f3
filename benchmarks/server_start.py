"""From the command to the first answer of the web server, and its memory when idle.

Ours is asked for its first page and, apart, for its JSON API; the process that computes is another one, not
counted. ComfyUI and Forge start beside it from checkouts given by path (Forge with the interpreter of its own
environment).
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from benchmarks.server import Server, free_port, serving, sfumato_command
from benchmarks.timing import Report, python_child, time_child

IDLE_SECONDS = 5.0
"""How long a server is left alone before its memory is read."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one round: for trying the benchmark out")
    parser.add_argument("--comfyui", type=Path, metavar="DIR", help="a checkout of ComfyUI")
    parser.add_argument("--forge", type=Path, metavar="DIR", help="a checkout of Forge")
    parser.add_argument("--forge-python", default=sys.executable, help="the interpreter to run Forge with")
    options = parser.parse_args()
    rounds = 1 if options.quick else 5
    report = Report(
        "server_start",
        "The web server's start and its memory when idle",
        "0.4 s of CPU in the web process; ComfyUI 4.8, Forge 11",
        {"rounds": rounds, "idle for": f"{IDLE_SECONDS:g} s"},
    )
    with tempfile.TemporaryDirectory() as folder:
        for name, runs in _measure(options, Path(folder), rounds).items():
            report.rows.append({"server": name, **runs})
    floor = statistics.median(time_child(python_child("import torch")).cpu for _ in range(rounds))
    report.rows.append({"server": "import torch, for comparison", "CPU s": round(floor, 3)})
    report.finish()


def _measure(options: argparse.Namespace, folder: Path, rounds: int) -> dict[str, dict[str, float]]:
    """Medians by server, which take turns."""
    found: dict[str, list[Mapping[str, float]]] = {}
    for number in range(rounds + 1):
        for name, numbers in _one_round(options, folder / str(number)):
            if number:  # the first round warms the page cache
                found.setdefault(name, []).append(numbers)
    return {
        name: {key: round(statistics.median(run[key] for run in runs), 3) for key in runs[0]}
        for name, runs in found.items()
    }


def _one_round(options: argparse.Namespace, folder: Path) -> list[tuple[str, dict[str, float]]]:
    folder.mkdir()
    found = []
    for name, path in (("sfumato ui, first page", "/generate/"), ("sfumato ui, JSON API", "/api/v1/")):
        own, port = folder / path.strip("/").replace("/", "-"), free_port()
        own.mkdir()
        with serving(sfumato_command(own, port), port, path) as server:
            found.append((name, _numbers(server)))
    if options.comfyui:
        port = free_port()
        command = [sys.executable, "main.py", "--cpu", "--port", str(port)]
        with serving(command, port, "/system_stats", cwd=options.comfyui) as server:
            found.append(("ComfyUI --cpu", _numbers(server)))
    if options.forge:
        port = free_port()
        command = [
            options.forge_python,
            "launch.py",
            "--nowebui",
            "--api",
            "--always-cpu",
            "--port",
            str(port),
        ]
        command += ["--skip-prepare-environment", "--skip-install"]
        with serving(command, port, "/sdapi/v1/progress", cwd=options.forge) as server:
            found.append(("Forge --nowebui --api", _numbers(server)))
    return found


def _numbers(server: Server) -> dict[str, float]:
    numbers = {"CPU s": server.cpu, "wall s": server.seconds}
    time.sleep(IDLE_SECONDS)
    return {**numbers, "idle MiB": server.memory() / 2**20}


if __name__ == "__main__":
    main()
