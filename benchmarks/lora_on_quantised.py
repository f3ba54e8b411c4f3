"""A step of a quantised Flux transformer with three LoRAs and without, beside diffusers and PEFT.

    python -m benchmarks.lora_on_quantised [--rounds 1] [--forms Q8_0 Q4_K NF4 fp8 bf16] [--threads 1]

The files are those of the benchmark `lora` (kohya's, ranks 16, 32 and 64), for all layers of the blocks of
the real width (3072); the weights are random. Every measurement has a process of its own. 'apply' is from the
files to a model that is ready for its next step, 'change' to other strengths of the same; steps with the
LoRAs and without take turns, and 'plain = 1' is the median of the shares. A round takes about three minutes.
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
from operator import truediv
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.lora import (
    CHANGED,
    CONFIG,
    IMAGE_TOKENS,
    RANKS,
    TEXT_TOKENS,
    WEIGHTS,
    OurRunner,
    PeerRunner,
    TransformerAlone,
    write_loras,
)
from benchmarks.random_flux import FORMS, our_network, peer_network
from benchmarks.timing import Cell, Report, Timing, time_call

OURS, PEER = "sfumato", "diffusers, PEFT"
FORWARDS = 2
NONE = (0.0,) * len(RANKS)


class OurQuantised(OurRunner):
    """A random transformer of ours without the rest of its model."""

    def __init__(self, folder: Path, form: str) -> None:
        from sfumato.file_hashes import FileHashes
        from sfumato.library import ModelLibrary
        from sfumato.models import ModelInfo
        from sfumato.registries import Registries
        from sfumato.tasks import TaskContext
        from sfumato_adapters.lora import LoraKind
        from sfumato_adapters.settings import AdapterSettings
        from sfumato_networks import plugin
        from sfumato_networks.clip_text import own_layers

        registries = Registries()
        registrar = registries.weight_formats.registrar("networks")
        plugin.register_weight_formats(registrar)
        registrar.commit()
        library = ModelLibrary([folder], registries, FileHashes(folder / "hashes.json"))
        settings = SimpleNamespace(adapters=AdapterSettings(how="on_the_fly"))
        self.context = TaskContext(registries, library, settings, folder)
        self.network: Any = our_network(form, CONFIG, "cpu")
        info = ModelInfo(name="random", family="flux", path=folder / "random.gguf")
        self.model = TransformerAlone(info, self.network, own_layers(self.network))
        self.kind = LoraKind()


class PeerQuantised(PeerRunner):
    """Diffusers' transformer with the same forms of weights, LoRAs beside them by PEFT."""

    def __init__(self, folder: Path, form: str) -> None:
        from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline

        network: nn.Module = peer_network(form, CONFIG, "cpu")
        parts = dict.fromkeys(("vae", "text_encoder", "tokenizer", "text_encoder_2", "tokenizer_2"))
        scheduler = FlowMatchEulerDiscreteScheduler()
        self.pipeline: Any = FluxPipeline(scheduler=scheduler, transformer=network, **parts)
        self.folder, self.fused, self.network = folder, False, network
        self.names = [f"r{rank}" for rank in RANKS]

    def change(self, weights: tuple[float, ...]) -> None:
        """With all at 0 they are switched off: PEFT computes them otherwise."""
        if not any(weights):
            return self.network.disable_adapters()  # type: ignore[operator]
        self.network.enable_adapters()  # type: ignore[operator]
        super().change(weights)


RUNNERS: dict[str, Callable[[Path, str], Any]] = {OURS: OurQuantised, PEER: PeerQuantised}


def measure(runner: Any) -> dict[str, Any]:
    """In a process of its own."""
    step: Callable[[], Tensor] = runner.step
    before = step()
    apply = time_call(lambda: runner.apply(WEIGHTS))
    if step().equal(before):
        raise RuntimeError("the LoRAs change nothing")
    with_loras, plain, changes = [], [], []
    for _ in range(FORWARDS):
        runner.change(NONE)
        plain.append(time_call(step).cpu)
        changes.append(time_call(lambda: runner.change(CHANGED)).cpu)
        with_loras.append(time_call(step).cpu)
    return {
        "apply": asdict(apply),
        "change": statistics.median(changes),
        "plain": statistics.median(plain),
        "with": statistics.median(with_loras),
        "share": statistics.median(map(truediv, with_loras, plain)),
    }


def measured_apart(name: str, form: str, folder: Path, threads: int) -> dict[str, Any] | None:
    """None where the peer cannot do it, which is told."""
    child = [sys.executable, "-m", "benchmarks.lora_on_quantised", "--measure", name, "--form", form]
    child += ["--folder", str(folder), "--threads", str(threads)]
    run = subprocess.run(child, capture_output=True, text=True)
    if run.returncode and name == OURS:
        raise RuntimeError(run.stderr[-2000:])
    if run.returncode:
        print(f"{name} cannot: {form}: {run.stderr.splitlines()[-1]}", file=sys.stderr)
        return None
    found: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return found


def rows_of(form: str, runs: dict[str, list[dict[str, Any]]]) -> list[dict[str, Cell]]:
    rows = []
    for runner, found in runs.items():
        apply = Timing(
            *(statistics.median(run["apply"][clock] for run in found) for clock in ("cpu", "wall"))
        )
        median = {key: statistics.median(run[key] for run in found) for key in ("plain", "with", "change")}
        rows.append(
            {
                "weights": form,
                "runner": runner,
                "apply CPU s": round(apply.cpu, 4),
                "change CPU s": round(median["change"], 4),
                "step, plain": round(median["plain"], 4),
                "step, LoRAs": round(median["with"], 4),
                "plain = 1": round(statistics.median(run["share"] for run in found), 3),
            }
        )
        if runner != PEER and PEER in runs:
            theirs = statistics.median(run["with"] for run in runs[PEER])
            rows[-1]["step, peer = 1"] = round(median["with"] / theirs, 3)
    return rows


def compare(folder: Path, options: argparse.Namespace) -> None:
    write_loras(folder, CONFIG)
    setting: dict[str, Cell] = {
        "LoRAs": "ranks " + ", ".join(map(str, RANKS)),
        "tokens": f"{IMAGE_TOKENS} + {TEXT_TOKENS}",
        "rounds": options.rounds,
        "threads": options.threads,
    }
    report = Report(
        "lora_on_quantised",
        "Three LoRAs on a quantised Flux transformer",
        "a step with them at most 1.1 of one without",
        setting,
    )
    for form in options.forms:
        runs: dict[str, list[dict[str, Any]]] = {}
        for _ in range(options.rounds):
            for name in RUNNERS:
                if found := measured_apart(name, form, folder, options.threads):
                    runs.setdefault(name, []).append(found)
        report.rows += rows_of(form, runs)
    report.finish()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=["bf16", "Q8_0", "Q4_K", "NF4", "fp8"])
    for name in ("--measure", "--form"):
        parser.add_argument(name, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help="where the files go; a temporary folder by default")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.measure:
        with torch.no_grad():
            print(json.dumps(measure(RUNNERS[options.measure](options.folder, options.form))))
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        compare(Path(folder), options)


if __name__ == "__main__":
    main()
