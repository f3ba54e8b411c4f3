"""How long it takes until a model can draw: cold, in the page cache, kept; other LoRAs, another learned word.

    python -m benchmarks.reload [--size tiny|quick|state] [--rounds 2] [--formats "GGUF Q8_0" ...]

A model of Stable Diffusion 1.5's layout ('state' is of its size) in every format, beside diffusers' pipeline.
Every checkpoint is loaded in a process of its own that has loaded and run a tiny one of the same format
before, so that neither imports nor first calls are measured. The phases, in seconds of wall time: 'open'
(header, family, mapped tensors), 'read' (one byte of every page), 'build' (the networks and all but their
large weights), 'convert' (large weights to the type that is computed in), 'place' (on the device), 'encode'
(the prompt), 'first step'; 'load' is all before 'encode'. Diffusers has no phases: its load is all 'build',
and of GGUF it loads the UNet alone. Before 'cold' loads the pages of the files are dropped from the cache, as
far as that goes. Two rounds take about five minutes.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.reload_models import FORMATS, SIZES, Stored, write_configs, write_loras
from benchmarks.reload_phases import (
    LOADING,
    PHASES,
    Clock,
    OurAdapters,
    OurModel,
    PeerModel,
    edited_word,
    repeated,
)
from benchmarks.sdxl_load import drop_pages
from benchmarks.timing import Cell, Report

OURS, PEER, TINY = "sfumato", "diffusers", "tiny"
Figures = dict[str, dict[str, float]]
"""Wall and CPU seconds by phase."""


def measure_load(runner: str, stored: Stored, dtype: str, configs: Path, *, cold: bool) -> list[Clock]:
    """From the file to the end of the first step."""
    model: Any = PeerModel(stored.path, dtype, configs) if runner == PEER else OurModel(stored.path, dtype)
    model_and_draw = (model.load, model.draw)
    if cold:
        for file in stored.files:
            drop_pages(file)
    clock = Clock()
    for work in model_and_draw:
        work(clock)
    return [clock]


def measure_adapters(runner: str, stored: Stored, options: argparse.Namespace) -> dict[str, list[Clock]]:
    """LoRAs that take each other's place, and a learned word that is edited, on a loaded model."""
    if runner == PEER:
        return _peer_adapters(stored, options)
    model = OurModel(stored.path, options.dtype)
    model.load(Clock())
    model.draw(Clock())
    found = {}
    for how in ("merge", "on_the_fly"):
        adapters = OurAdapters(model, how)
        names = iter(["lora0", "lora1"] * (options.rounds + 1))

        def switch(clock: Clock, adapters: OurAdapters = adapters, names: Any = names) -> None:
            adapters.put(next(names), clock)
            model.draw(clock)

        way = how.replace("_", " ")
        found[f"LoRA, first time, {way}"] = repeated(switch, 1)
        repeated(switch, 1)
        found[f"LoRA switch, {way}"] = repeated(switch, options.rounds)
        adapters.put("", Clock())
    found["learned word edited"] = _edits(adapters.read_word, stored, options)
    return found


def _peer_adapters(stored: Stored, options: argparse.Namespace) -> dict[str, list[Clock]]:
    model = PeerModel(stored.path, options.dtype, options.configs)
    model.load(Clock())
    model.draw(Clock())
    files = sorted((stored.root / "loras").iterdir())
    order = iter(files * (options.rounds + 1))

    def switch(clock: Clock) -> None:
        model.put(next(order), clock)
        model.draw(clock)

    first = repeated(switch, 1)
    repeated(switch, 1)
    again = repeated(switch, options.rounds)
    model.pipeline.unload_lora_weights()
    word = stored.root / "embeddings" / "smile.safetensors"
    edits = _edits(lambda clock: model.read_word(word, clock), stored, options)
    return {
        "LoRA, first time, on the fly": first,
        "LoRA switch, on the fly": again,
        "learned word edited": edits,
    }


def _edits(read: Callable[[Clock], None], stored: Stored, options: argparse.Namespace) -> list[Clock]:
    seeds = iter(range(options.rounds + 2))

    def edited(clock: Clock) -> None:
        edited_word(options.size, stored.root, next(seeds))
        read(clock)

    repeated(edited, 1)
    return repeated(edited, options.rounds)


def measure_kept(stored: Stored, options: argparse.Namespace) -> dict[str, list[Clock]]:
    """Two models that are both kept, in turns: what is left of a reload then."""
    models = [OurModel(stored.path, options.dtype) for _ in range(2)]
    for model in models:
        model.load(Clock())
        model.draw(Clock())
    turns = iter(models * options.rounds)
    return {"kept in memory": repeated(lambda clock: next(turns).draw(clock), options.rounds)}


def warm_up(stored: Stored, options: argparse.Namespace) -> None:
    """Load and run the tiny model beside it, so that all is imported and has been called."""
    path = stored.root.with_name(TINY) / stored.path.relative_to(stored.root)
    configs = options.configs.with_name(TINY)
    measure_load(
        options.runner, Stored(stored.name, path, stored.computed), options.dtype, configs, cold=False
    )


def measure(options: argparse.Namespace) -> dict[str, list[Figures]]:
    stored = Stored(options.format, options.path, options.dtype)
    warm_up(stored, options)
    if options.measure == "adapters":
        found = measure_adapters(options.runner, stored, options)
    elif options.measure == "kept":
        found = measure_kept(stored, options)
    else:
        cold = options.measure == "cold"
        clocks = measure_load(options.runner, stored, options.dtype, options.configs, cold=cold)
        found = {options.measure: clocks}
    return {
        case: [{"wall": clock.wall, "cpu": clock.cpu} for clock in clocks] for case, clocks in found.items()
    }


def measured_apart(
    case: str, runner: str, stored: Stored, configs: Path, options: argparse.Namespace
) -> dict[str, list[Figures]]:
    """In a process of its own; empty where the runner cannot do it, which is told."""
    child = [sys.executable, "-m", "benchmarks.reload", "--measure", case, "--runner", runner]
    child += ["--path", str(stored.path), "--format", stored.name, "--dtype", stored.computed]
    child += ["--configs", str(configs), "--size", options.size]
    child += ["--rounds", str(options.rounds), "--threads", str(options.threads)]
    run = subprocess.run(child, capture_output=True, text=True)
    if run.returncode:
        if runner == OURS:
            raise RuntimeError(run.stderr[-3000:])
        print(f"{runner} cannot: {case}, {stored.name}: {run.stderr.splitlines()[-1]}", file=sys.stderr)
        return {}
    found: dict[str, list[Figures]] = json.loads(run.stdout.splitlines()[-1])
    return found


def add_rows(report: Report, title: str, runs: Mapping[str, Sequence[Figures]]) -> None:
    """One row a runner: medians of each phase and of their sums, and their shares of the peer's."""
    wall = {runner: [one["wall"] for one in found] for runner, found in runs.items()}
    sums = {
        "load": {runner: _median_sum(found, LOADING) for runner, found in wall.items()},
        "all": {runner: _median_sum(found, PHASES) for runner, found in wall.items()},
    }
    for runner, found in runs.items():
        row: dict[str, Cell] = {"case": title, "runner": runner}
        for phase in PHASES:
            seconds = [one[phase] for one in wall[runner] if phase in one]
            row[phase] = round(statistics.median(seconds), 4) if seconds else ""
        for name, seconds_of in sums.items():
            row[f"{name} s"] = round(seconds_of[runner], 4)
        row["CPU s"] = round(_median_sum([one["cpu"] for one in found], PHASES), 4)
        for name, seconds_of in sums.items():
            if seconds_of.get(PEER):
                row[f"{name}, peer = 1"] = round(seconds_of[runner] / seconds_of[PEER], 3)
        report.rows.append(row)


def _median_sum(found: Sequence[Mapping[str, float]], phases: Sequence[str]) -> float:
    return statistics.median(sum(one.get(phase, 0.0) for phase in phases) for one in found)


def compare_format(report: Report, stored: Stored, configs: Path, options: argparse.Namespace) -> None:
    for case in ("cold", "page cache"):
        runs: dict[str, list[Figures]] = {OURS: [], PEER: []}
        for _ in range(options.rounds):
            for runner, found in runs.items():
                found += measured_apart(case, runner, stored, configs, options).get(case, [])
        add_rows(report, f"{stored.name}, {case}", {name: found for name, found in runs.items() if found})


def compare_kept(report: Report, stored: Stored, configs: Path, options: argparse.Namespace) -> None:
    """What the model's format matters little for."""
    for case in ("kept", "adapters"):
        ours = measured_apart(case, OURS, stored, configs, options)
        peer = measured_apart(case, PEER, stored, configs, options) if case == "adapters" else {}
        for title, found in ours.items():
            runs = {OURS: found, **({PEER: peer[title]} if title in peer else {})}
            add_rows(report, f"{title}, {stored.name}", runs)


def compare(folder: Path, options: argparse.Namespace) -> None:
    size, tiny = SIZES[options.size], SIZES[TINY]
    configs = write_configs(size, folder / "configs" / "model")
    write_configs(tiny, configs.with_name(TINY))
    setting: dict[str, Cell] = {
        "size": options.size,
        "latents": "32x32",
        "rounds": options.rounds,
        "threads": options.threads,
    }
    aim = "every phase told apart; a fraction of the peer's time from the file to the end of the first step"
    report = Report("reload", "From a file to the first step", aim, setting)
    for number, name in enumerate(options.formats):
        with tempfile.TemporaryDirectory(dir=folder) as root:
            stored = FORMATS[name](size, Path(root) / "models")
            FORMATS[name](tiny, Path(root) / TINY)
            setting[name] = f"{sum(file.stat().st_size for file in stored.files) / 1e9:.2f} GB"
            compare_format(report, stored, configs, options)
            if number == 0 or "Q8_0" in name:
                write_loras(size, stored.root)
                edited_word(options.size, stored.root, 0)
                compare_kept(report, stored, configs, options)
    report.finish()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", choices=SIZES, default="quick", help="'state' writes up to 3.5 GB")
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=list(FORMATS))
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="where the files go; a temporary folder by default")
    parser.add_argument(
        "--measure", choices=("cold", "page cache", "kept", "adapters"), help=argparse.SUPPRESS
    )
    for name in ("--runner", "--format", "--dtype"):
        parser.add_argument(name, help=argparse.SUPPRESS)
    for name in ("--path", "--configs"):
        parser.add_argument(name, type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.measure:
        print(json.dumps(measure(options)))
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        compare(Path(folder), options)


if __name__ == "__main__":
    main()
