"""Loading a 2 GB single-file Flux transformer beside diffusers' `from_single_file`: time and memory.

The file has random bfloat16 weights of the real width (3072) in fewer blocks. Every measurement has a process
of its own. 'touch all pages' is what reading all weights costs then: the work that mapping puts off.
'private MiB' is memory of the process alone after that; pages of a mapped file are not.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmarks.timing import Report, Timing, time_call
from sfumato_models_flux.config import FluxConfig, expected_shapes

OURS, PEER = "sfumato", "diffusers from_single_file"
PAGE = 2048  # weights of two bytes
CHECKPOINT, PEER_CONFIG = "flux.safetensors", "config.json"


def write_checkpoint(folder: Path, config: FluxConfig) -> None:
    """A random checkpoint under the original names, and the config.json that diffusers wants beside it."""
    from safetensors.torch import save_file

    pool = torch.randn(1 << 22, generator=torch.Generator().manual_seed(0)).mul_(0.02).bfloat16()
    tensors = {}
    for name, shape in expected_shapes(config).items():
        size = torch.Size(shape).numel()
        tensors[name] = pool.repeat(-(-size // pool.numel()))[:size].reshape(shape)
    save_file(tensors, folder / CHECKPOINT)
    peer_sizes = {  # all else is as in diffusers' defaults: the widths are those of the released models
        "_class_name": "FluxTransformer2DModel",
        "num_layers": config.double_blocks,
        "num_single_layers": config.single_blocks,
        "guidance_embeds": config.guidance,
    }
    (folder / PEER_CONFIG).write_text(json.dumps(peer_sizes), "utf-8")


def our_loader(folder: Path) -> Callable[[], nn.Module]:
    from sfumato_models_flux.detection import detect, find_transformer, read_config
    from sfumato_models_flux.transformer import FluxTransformer
    from sfumato_networks.formats import SafetensorsFormat
    from sfumato_networks.weights import build_empty, load_network

    def load() -> nn.Module:
        file = folder / CHECKPOINT
        header = SafetensorsFormat().read_header(file)
        stored = find_transformer(header)
        if detect(header) is None or stored is None:
            raise ValueError("the checkpoint was not recognised")
        config = read_config(header, stored)
        network = build_empty(lambda: FluxTransformer(config))
        tensors = SafetensorsFormat().open_tensors(file)
        return load_network(network, tensors, torch.bfloat16, "cpu", where=file.name)

    return load


def peer_loader(folder: Path) -> Callable[[], nn.Module]:
    from diffusers import FluxTransformer2DModel

    file, config = str(folder / CHECKPOINT), str(folder)
    return lambda: FluxTransformer2DModel.from_single_file(file, config=config, torch_dtype=torch.bfloat16)


def private_mebibytes() -> float:
    """Anonymous memory of this process: what is neither a file's pages nor shared."""
    lines = Path("/proc/self/smaps_rollup").read_text("utf-8").splitlines()
    return int(next(line for line in lines if line.startswith("Anonymous:")).split()[1]) / 1024


def measure(runner: str, folder: Path) -> None:
    """In a process of its own: load, read everything, load again; the figures go to stdout as JSON."""
    load = (our_loader if runner == OURS else peer_loader)(folder)
    before, kept = private_mebibytes(), list[nn.Module]()
    first = time_call(lambda: kept.append(load()))
    parameters = list(kept[0].parameters())
    numbers = [parameter.view(torch.int16).view(-1) for parameter in parameters]
    touching = time_call(lambda: [weights[::PAGE].sum() for weights in numbers])
    private = private_mebibytes() - before
    second = time_call(lambda: kept.append(load()))
    found = {
        "first": asdict(first),
        "second": asdict(second),
        "touching": asdict(touching),
        "private": private,
    }
    print(json.dumps(found))


def measured_apart(runner: str, folder: Path) -> dict[str, Any]:
    command = [
        sys.executable,
        "-m",
        "benchmarks.checkpoint_load",
        "--measure",
        runner,
        "--folder",
        str(folder),
    ]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode:
        raise RuntimeError(run.stderr[-2000:])
    found: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return found


def medians(found: list[dict[str, Any]], key: str) -> Timing:
    return Timing(*(statistics.median(run[key][clock] for run in found) for clock in ("cpu", "wall")))


def compare(folder: Path, config: FluxConfig, rounds: int) -> None:
    write_checkpoint(folder, config)
    gigabytes = round((folder / CHECKPOINT).stat().st_size / 1e9, 2)
    runs: dict[str, list[dict[str, Any]]] = {OURS: [], PEER: []}
    for number in range(rounds + 1):
        for runner, found in runs.items():
            figures = measured_apart(runner, folder)
            if number:  # the first round fills the page cache
                found.append(figures)
    report = Report(
        "checkpoint_load",
        "Loading a single-file Flux transformer",
        "0.05 or less of from_single_file, no private memory, the second load in milliseconds",
        {"file": f"{gigabytes} GB in bfloat16", "rounds": rounds, "threads": torch.get_num_threads()},
    )
    for case, key in (("first load", "first"), ("second load", "second"), ("touch all pages", "touching")):
        report.add(case, {runner: medians(found, key) for runner, found in runs.items()}, peer=PEER)
    for row in report.rows:
        if row["case"] == "first load":
            row["private MiB"] = round(statistics.median(run["private"] for run in runs[str(row["runner"])]))
    report.finish()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick", action="store_true", help="a small file, one round: for trying the benchmark out"
    )
    parser.add_argument("--measure", choices=(OURS, PEER), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help="where the file goes; a temporary folder by default")
    options = parser.parse_args()
    if options.measure:
        return measure(options.measure, options.folder)
    config = FluxConfig(double_blocks=1, single_blocks=1 if options.quick else 5)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        compare(Path(folder), config, rounds=1 if options.quick else 5)


if __name__ == "__main__":
    main()
