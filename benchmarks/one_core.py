"""Whole pictures on one core and one thread, with what they took: a text encoder in GGUF, soft inpainting.

    python -m benchmarks.one_core [--rounds 3]

The embedded model draws: as it is started by default, with one thread, and with one thread bound to one core
(`taskset`). Every picture has a process of its own. 'difference' is the largest one from the picture on one
core, of 255: none with as many threads, while more threads change the order of sums. 'peak MiB' is the
highest resident set of the process, the last columns are what the engine measured of its phases.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.timing import Cell, Report

MODEL, SIZE, STEPS = "emoji", 64, 4
CASES = ("T5 in GGUF", "soft inpainting")
DEFAULT, ONE_THREAD, ONE_CORE = WAYS = "as started by default", "one thread", "one core"
Told = dict[str, Any]
"""What a picture took, and where it is."""


def write_t5(folder: Path) -> Path:
    """The embedded model's T5 in blocks of Q8_0."""
    path = folder / "t5_q8_0.gguf"
    program = Path(sys.executable).parent / "sfumato"
    command = [str(program), "quantize", MODEL, "--part", "t5_encoder", "--to", "q8_0", "--output", str(path)]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode:
        raise RuntimeError(run.stderr[-2000:])
    return path


def write_pictures(folder: Path) -> tuple[Path, Path]:
    """A picture to start from, and a mask with greys."""
    from PIL import Image

    start, mask = folder / "start.png", folder / "mask.png"
    Image.radial_gradient("L").resize((SIZE, SIZE)).convert("RGB").save(start)
    Image.linear_gradient("L").resize((SIZE, SIZE)).save(mask)
    return start, mask


def request_of(case: str, folder: Path) -> dict[str, Any]:
    """The fields that make the case, beside those of all."""
    if case == CASES[0]:
        return {"parts": {"t5_encoder": str(write_t5(folder))}}
    start, mask = write_pictures(folder)
    return {
        "img2img": {"image": start, "denoising_strength": 0.8},
        "inpaint": {"mask": mask, "soft": {}},
    }


def draw(folder: Path, fields: dict[str, Any]) -> Told:
    """One picture in this process; the imports that it takes count."""
    from sfumato import Studio
    from sfumato.events import Event, WorkMeasured

    found: list[WorkMeasured] = []

    def listen(event: Event) -> None:
        if isinstance(event, WorkMeasured):
            found.append(event)

    wall, cpu = time.perf_counter(), time.process_time()
    asked: dict[str, Any] = {
        "model": MODEL,
        "seed": 5,
        "steps": STEPS,
        "width": SIZE,
        "height": SIZE,
        "cfg_scale": 3.0,
    }
    result = Studio().generate("a red apple", output_folder=folder, on_event=listen, **{**asked, **fields})
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {
        "picture": str(result.images[0].path),
        "wall": wall,
        "cpu": cpu,
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "phases": [phase.model_dump() for work in found for phase in work.phases],
        "cores": len(os.sched_getaffinity(0)),
        "threads": threads(),
    }


def difference(first: str, second: str) -> int:
    """The largest one between two pictures' values, of 255."""
    from PIL import Image, ImageChops

    with Image.open(first) as one, Image.open(second) as other:
        extrema: Any = ImageChops.difference(one.convert("RGB"), other.convert("RGB")).getextrema()
    return int(max(most for _, most in extrema))


def threads() -> int:
    import torch

    return torch.get_num_threads()


def drawn_apart(requests: Mapping[str, dict[str, Any]], folder: Path, way: str) -> dict[str, Told]:
    """What `draw` tells of each case, one after the other in a process that is started in that way.

    Raises:
        RuntimeError: it failed; the message has the end of what it said.
    """
    command = [sys.executable, "-m", "benchmarks.one_core", "--folder", str(folder)]
    command += ["--measure", json.dumps(requests, default=str)]
    environ = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    if way != DEFAULT:
        environ["OMP_NUM_THREADS"] = "1"
    if way == ONE_CORE and (taskset := shutil.which("taskset")):
        command = [taskset, "-c", str(min(os.sched_getaffinity(0))), *command]
    root = Path(__file__).parents[1]
    run = subprocess.run(command, capture_output=True, text=True, env=environ, cwd=root)
    if run.returncode:
        raise RuntimeError(run.stderr[-2000:])
    found: dict[str, Told] = json.loads(run.stdout.splitlines()[-1])
    return found


def add_rows(report: Report, case: str, runs: Mapping[str, Sequence[Told]]) -> None:
    on_one_core = runs[ONE_CORE][0]["picture"]
    for way, found in runs.items():
        row: dict[str, Cell] = {"case": case, "runner": way}
        row |= {"cores": found[0]["cores"], "threads": found[0]["threads"]}
        row["wall s"] = round(statistics.median(one["wall"] for one in found), 3)
        row["CPU s"] = round(statistics.median(one["cpu"] for one in found), 3)
        row["peak MiB"] = round(statistics.median(one["peak_bytes"] for one in found) / 2**20)
        row["difference"] = difference(found[0]["picture"], on_one_core)
        for number, phase in enumerate(found[0]["phases"]):
            seconds = statistics.median(one["phases"][number]["seconds"] for one in found)
            row[f"{phase['phase']} s"] = round(seconds, 3)
        report.rows.append(row)


def compare(folder: Path, rounds: int) -> None:
    setting: dict[str, Cell] = {"model": MODEL, "size": f"{SIZE}x{SIZE}", "steps": STEPS, "rounds": rounds}
    aim = "finished, and the same: bit for bit with as many threads, else but for rounding"
    report = Report("one_core", "Pictures on one core", aim, setting)
    for number, case in enumerate(CASES):
        place = folder / str(number)
        place.mkdir()
        requests = {case: request_of(case, place)}
        runs: dict[str, list[Told]] = {way: [] for way in WAYS}
        for _ in range(rounds):
            for way, found in runs.items():
                found.append(drawn_apart(requests, place, way)[case])
        add_rows(report, case, runs)
    report.finish()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--measure", type=json.loads, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps({case: draw(options.folder, fields) for case, fields in options.measure.items()}))
        return
    with tempfile.TemporaryDirectory() as folder:
        compare(Path(folder), options.rounds)


if __name__ == "__main__":
    main()
