"""Whole pictures on one core and one thread, with what they took: a text encoder in GGUF, soft inpainting.

    python -m benchmarks.one_core [--rounds 3]

The embedded model draws, once as it is started by default and once bound to one core (`taskset`, one thread).
Every picture has a process of its own. 'difference' is the largest one between both pictures, of 255: threads
change the order of sums. 'peak MiB' is the highest resident set of the process, the last columns are what the
engine measured of its phases.
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
from pathlib import Path
from typing import Any

from benchmarks.timing import Cell, Report

MODEL, SIZE, STEPS = "emoji", 64, 6
CASES = ("T5 in GGUF", "soft inpainting")
DEFAULT, ONE = "as started by default", "one core"


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


def draw(case: str, folder: Path, fields: dict[str, Any]) -> dict[str, Any]:
    """In a process of its own: one picture, and what it took."""
    from sfumato import Studio
    from sfumato.events import Event, WorkMeasured

    found: list[WorkMeasured] = []

    def listen(event: Event) -> None:
        if isinstance(event, WorkMeasured):
            found.append(event)

    wall = time.perf_counter()
    asked: dict[str, Any] = {
        "model": MODEL,
        "seed": 5,
        "steps": STEPS,
        "width": SIZE,
        "height": SIZE,
        "cfg_scale": 3.0,
    }
    result = Studio().generate("a red apple", output_folder=folder, on_event=listen, **{**asked, **fields})
    wall = time.perf_counter() - wall
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "case": case,
        "picture": str(result.images[0].path),
        "wall": wall,
        "cpu": usage.ru_utime + usage.ru_stime,
        "peak_bytes": usage.ru_maxrss * 1024,
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


def drawn_apart(case: str, folder: Path, fields: dict[str, Any], *, one_core: bool) -> dict[str, Any]:
    """What `draw` tells, in a process that is bound to one core or not at all.

    Raises:
        RuntimeError: it failed; the message has the end of what it said.
    """
    command = [sys.executable, "-m", "benchmarks.one_core", "--measure", case, "--folder", str(folder)]
    command += ["--fields", json.dumps(fields, default=str)]
    environ = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    if one_core:
        environ["OMP_NUM_THREADS"] = "1"
        if taskset := shutil.which("taskset"):
            command = [taskset, "-c", str(min(os.sched_getaffinity(0))), *command]
    root = Path(__file__).parents[1]
    run = subprocess.run(command, capture_output=True, text=True, env=environ, cwd=root)
    if run.returncode:
        raise RuntimeError(run.stderr[-2000:])
    found: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return found


def add_rows(report: Report, case: str, runs: dict[str, list[dict[str, Any]]]) -> None:
    apart = difference(*(found[0]["picture"] for found in runs.values()))
    for runner, found in runs.items():
        row: dict[str, Cell] = {"case": case, "runner": runner}
        row |= {"cores": found[0]["cores"], "threads": found[0]["threads"]}
        row["wall s"] = round(statistics.median(one["wall"] for one in found), 3)
        row["CPU s"] = round(statistics.median(one["cpu"] for one in found), 3)
        row["peak MiB"] = round(statistics.median(one["peak_bytes"] for one in found) / 2**20)
        row["difference"] = apart
        for number, phase in enumerate(found[0]["phases"]):
            seconds = statistics.median(one["phases"][number]["seconds"] for one in found)
            row[f"{phase['phase']} s"] = round(seconds, 3)
        report.rows.append(row)


def compare(folder: Path, rounds: int) -> None:
    setting: dict[str, Cell] = {"model": MODEL, "size": f"{SIZE}x{SIZE}", "steps": STEPS, "rounds": rounds}
    report = Report("one_core", "Pictures on one core", "finished, and the same but for rounding", setting)
    for number, case in enumerate(CASES):
        place = folder / str(number)
        place.mkdir()
        fields = request_of(case, place)
        runs: dict[str, list[dict[str, Any]]] = {DEFAULT: [], ONE: []}
        for _ in range(rounds):
            for runner, found in runs.items():
                found.append(drawn_apart(case, place, fields, one_core=runner == ONE))
        add_rows(report, case, runs)
    report.finish()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--measure", choices=CASES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--fields", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(draw(options.measure, options.folder, options.fields)))
        return
    with tempfile.TemporaryDirectory() as folder:
        compare(Path(folder), options.rounds)


if __name__ == "__main__":
    main()
