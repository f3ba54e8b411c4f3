"""Loading and switching whole SDXL-layout single files, beside diffusers' `from_single_file`.

    python -m benchmarks.sdxl_load [--size quick|state] [--stored bfloat16] [--folder DIR]

UNet, both text encoders and the autoencoder are in one file under their original names, random; 'state' is
one of 2 GB. Every measurement has a process of its own. Before 'cold' loads the file's pages are dropped from
the cache as far as the system does so when asked. 'touch all pages' reads every weight once: the work that
mapping puts off. 'private MiB' is memory of the process alone after that, 'peak / file' the highest resident
set above that before the load, pages of the file among it. Files stored as float16 are computed in float32
on a CPU, which asks for a converted copy.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.checkpoint_load import PAGE, medians, private_mebibytes
from benchmarks.sdxl_models import COMPUTED, SIZES, load_model, write_checkpoint, write_configs
from benchmarks.timing import Cell, Report, Timing, median, time_call

OURS, PEER = "sfumato", "diffusers from_single_file"
COMFYUI = "ComfyUI, UNet alone"
FILES = ("first.safetensors", "second.safetensors")
CASES = {"load": "first", "load again": "second", "touch all pages": "touching"}


def our_loader(file: Path, dtype: str) -> Callable[[], list[nn.Module]]:
    import sfumato_models_sd.loading  # noqa: F401, the peer's modules are imported before its load too

    return lambda: list(load_model(file, dtype).networks.values())


def peer_loader(file: Path, dtype: str) -> Callable[[], list[nn.Module]]:
    from diffusers import StableDiffusionXLPipeline

    def load() -> list[nn.Module]:
        pipeline = StableDiffusionXLPipeline.from_single_file(
            str(file), config=str(file.parent / "configs"), torch_dtype=getattr(torch, dtype)
        )
        return [part for part in pipeline.components.values() if isinstance(part, nn.Module)]

    return load


def drop_pages(file: Path) -> None:
    """Ask for the file's pages to leave the page cache."""
    with file.open("rb") as handle:
        os.posix_fadvise(handle.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def resident_mebibytes(line: str) -> float:
    """VmRSS, what is resident now, or VmHWM, the most that was."""
    lines = Path("/proc/self/status").read_text("utf-8").splitlines()
    return int(next(each for each in lines if each.startswith(f"{line}:")).split()[1]) / 1024


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5", "ascii")


def weights_of(networks: list[nn.Module]) -> Iterator[Tensor]:
    for network in networks:
        yield from network.parameters()


def loader_of(options: argparse.Namespace) -> Callable[[], list[nn.Module]]:
    file, dtype = Path(options.file), options.dtype
    if options.measure != COMFYUI:
        return (our_loader if options.measure == OURS else peer_loader)(file, dtype)
    from benchmarks.comfyui_models import comfyui_loader

    return comfyui_loader(file, SIZES[options.size], dtype, options.comfyui)


def measure(load: Callable[[], list[nn.Module]], file: Path, *, cold: bool) -> dict[str, Any]:
    """In a process of its own: load, read everything, load again."""
    if cold:
        drop_pages(file)
    forget_peak()
    private, resident = private_mebibytes(), resident_mebibytes("VmRSS")
    kept: list[list[nn.Module]] = []
    first = time_call(lambda: kept.append(load()))
    touching = time_call(lambda: [weights.reshape(-1)[::PAGE].sum() for weights in weights_of(kept[0])])
    found: dict[str, Any] = {"first": asdict(first), "touching": asdict(touching)}
    found["private"] = private_mebibytes() - private
    found["peak"] = resident_mebibytes("VmHWM") - resident
    found["second"] = asdict(time_call(lambda: kept.append(load())))
    return found


def measured_apart(runner: str, file: Path, options: argparse.Namespace, *, cold: bool) -> dict[str, Any]:
    child = [sys.executable, "-m", "benchmarks.sdxl_load", "--measure", runner, "--file", str(file)]
    child += ["--dtype", COMPUTED[options.stored], "--size", options.size, *["--cold"] * cold]
    child += ["--comfyui", str(options.comfyui)] if options.comfyui else []
    run = subprocess.run(child, capture_output=True, text=True)
    if run.returncode:
        raise RuntimeError(run.stderr[-2000:])
    found: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return found


def loading_rows(report: Report, file: Path, options: argparse.Namespace, rounds: int) -> None:
    runners = [OURS, PEER, COMFYUI] if options.comfyui else [OURS, PEER]
    mebibytes = file.stat().st_size / 2**20
    for title, cold in (("cold", True), ("in the page cache", False)):
        runs: dict[str, list[dict[str, Any]]] = {runner: [] for runner in runners}
        for number in range(rounds + (not cold)):
            for runner, found in runs.items():
                figures = measured_apart(runner, file, options, cold=cold)
                if number or cold:  # the first round fills the page cache
                    found.append(figures)
        for case, key in CASES.items():
            timings = {runner: medians(found, key) for runner, found in runs.items()}
            report.add(f"{case}, {title}", timings, peer=PEER)
        for row in report.rows[-len(runners) * len(CASES) :][: len(runners)]:
            found = runs[str(row["runner"])]
            row["private MiB"] = round(statistics.median(run["private"] for run in found))
            row["peak / file"] = round(statistics.median(run["peak"] for run in found) / mebibytes, 2)


def switching_rows(report: Report, files: list[Path], rounds: int) -> None:
    """Requests of one step on tiny pictures, from one file and from two in turns."""
    for keep in (1, 2):
        for case, chosen in (("the same model", files[:1]), ("two models in turns", files)):
            timings = requests(chosen, keep, 2 * rounds)
            title = f"request, {case}, {keep} kept"
            report.rows.append({"case": title, "runner": OURS, **shown(median(timings))})


def requests(files: list[Path], keep: int, count: int) -> list[Timing]:
    """Timings of requests after one of each model, which are not counted."""
    from sfumato import Studio
    from sfumato.settings import Settings

    folder = files[0].parent.parent
    overrides = {
        "general.model_folders": json.dumps([str(folder)]),
        "engine.keep_models": str(keep),
        "engine.device": "cpu",
    }
    settings = Settings.load(file=folder / "no-settings.toml", environ={}, overrides=overrides)
    studio = Studio(settings)
    fields: dict[str, Any] = {"steps": 1, "width": 64, "height": 64, "seed": 1, "cfg_scale": 1.0}

    def draw(file: Path) -> None:
        studio.generate("The blue one", model=str(file), output_folder=folder / "out", **fields)

    for file in files:
        draw(file)
    turns = [files[number % len(files)] for number in range(count)]
    return [time_call(lambda: draw(file)) for file in turns]  # noqa: B023


def managed_rows(report: Report, files: list[Path], rounds: int, dtype: str) -> None:
    """What the engine's manager takes to hand out a model, without a request around it."""
    from benchmarks.sdxl_models import managed

    for title, keep in (("loaded anew", 1), ("kept", 2)):
        hand_out = managed(files, keep, dtype)
        for file in files:
            hand_out(file)
        timings = [time_call(lambda: hand_out(file)) for file in files * rounds]  # noqa: B023
        report.rows.append({"case": f"switch of models, {title}", "runner": OURS, **shown(median(timings))})


def shown(timing: Timing) -> dict[str, Cell]:
    return {"CPU s": round(timing.cpu, 5), "wall s": round(timing.wall, 5)}


def compare(folder: Path, options: argparse.Namespace) -> None:
    tiny, rounds = SIZES[options.size], 1 if options.size == "tiny" else 3
    files, dtype = [folder / "checkpoints" / name for name in FILES], COMPUTED[options.stored]
    write_checkpoint(tiny, files[0], getattr(torch, options.stored))
    write_configs(tiny, files[0].parent)
    os.link(*files)  # the same bytes under another name, which is another model
    setting: dict[str, Cell] = {
        "file": f"{files[0].stat().st_size / 1e9:.2f} GB in {options.stored}",
        "computed in": dtype,
        "rounds": rounds,
        "threads": torch.get_num_threads(),
    }
    aim = (
        "0.05 or less of from_single_file's CPU time, no private memory, peak 1.1 of the file at most, and "
        "milliseconds for a model that is kept"
    )
    report = Report("sdxl_load", "Loading and switching SDXL-layout single files", aim, setting)
    loading_rows(report, files[0], options, rounds)
    managed_rows(report, files, rounds, dtype)
    switching_rows(report, files, rounds)
    report.finish()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", choices=SIZES, default="quick", help="'state' writes 2 GB")
    parser.add_argument("--stored", choices=COMPUTED, default="bfloat16")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="where the file goes; a temporary folder by default")
    parser.add_argument("--comfyui", type=Path, metavar="DIR", help="a checkout of ComfyUI, measured too")
    for name in ("--measure", "--file", "--dtype"):
        parser.add_argument(name, help=argparse.SUPPRESS)
    parser.add_argument("--cold", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.measure:
        found = measure(loader_of(options), Path(options.file), cold=options.cold)
        print(json.dumps(found))
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        compare(Path(folder), options)


if __name__ == "__main__":
    main()
