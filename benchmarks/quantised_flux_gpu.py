"""A Flux of 12 thousand million random weights on a GPU in Q4_K, Q8_0, NF4, fp8 and bf16, beside its peers.

    python -m benchmarks.quantised_flux_gpu [--steps 5] [--side 1024]

The transformer alone, made on the device: no file is read. The peer is diffusers' transformer with its own
GGUF layers, with bitsandbytes' NF4 layers, with its cast-on-use fp8, or in bf16. Each has a process of its
own; a step is one pass for a picture of that side with 512 tokens of text, without guidance by a second
pass. Peak memory is what torch allocated during the steps, the weights included. Two passes that compile
and tune come first. `--tiny` runs a small transformer on a CPU instead, only to try the program out.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from benchmarks.random_flux import COMPUTED, FORMS, our_network, peer_network
from benchmarks.timing import Cell, Report
from sfumato_models_flux.config import FluxConfig

OURS, PEER = "sfumato", "diffusers"
REAL = FluxConfig(guidance=False)
TINY = FluxConfig(
    hidden_size=256,
    heads=4,
    double_blocks=1,
    single_blocks=1,
    context_size=256,
    vector_size=256,
    axes=(8, 28, 28),
    guidance=False,
)
TEXT_TOKENS = 512
WARM_UP = 2


def our_step(form: str, config: FluxConfig, side: int, device: str) -> Callable[[], Tensor]:
    from sfumato_models_flux.transformer import image_positions

    network: Any = our_network(form, config, device)
    tokens, context, vector, sigma = inputs(config, side, device)
    text = torch.zeros(TEXT_TOKENS, 3, dtype=torch.int64, device=device)
    rotary = network.rotary(image_positions(side // 8, side // 8, device), text)
    return lambda: network(tokens, sigma, context, vector, rotary)


def peer_step(form: str, config: FluxConfig, side: int, device: str) -> Callable[[], Tensor]:
    network: Any = peer_network(form, config, device)
    tokens, context, vector, sigma = inputs(config, side, device)
    row = side // 16
    positions = torch.zeros(row * row, 3, device=device)
    place = torch.arange(row * row, device=device)
    positions[:, 1], positions[:, 2] = place // row, place % row
    text = torch.zeros(TEXT_TOKENS, 3, device=device)
    return lambda: network(
        hidden_states=tokens,
        timestep=sigma,
        pooled_projections=vector,
        encoder_hidden_states=context,
        txt_ids=text,
        img_ids=positions,
        return_dict=False,
    )[0]


def inputs(config: FluxConfig, side: int, device: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Image tokens, the states of T5, the pooled one of CLIP, and the time."""
    sizes = (
        (1, (side // 16) ** 2, config.in_channels),
        (1, TEXT_TOKENS, config.context_size),
        (1, config.vector_size),
    )
    tokens, context, vector = (torch.randn(size, device=device, dtype=COMPUTED) for size in sizes)
    return tokens, context, vector, torch.tensor([0.5], device=device, dtype=COMPUTED)


def measure(runner: str, form: str, steps: int, side: int, tiny: bool) -> dict[str, float]:
    """In a process of its own: seconds and bytes."""
    device, config = ("cpu", TINY) if tiny else ("cuda", REAL)
    make = our_step if runner == OURS else peer_step
    with torch.inference_mode():
        step = make(form, config, side, device)
        weights = 0 if tiny else torch.cuda.memory_allocated()
        first, *_ = (seconds(step, device) for _ in range(WARM_UP))
        if not tiny:
            torch.cuda.reset_peak_memory_stats()
        times = [seconds(step, device) for _ in range(steps)]
        peak = 0 if tiny else torch.cuda.max_memory_allocated()
    return {"step": statistics.median(times), "first": first, "weights": weights, "peak": peak}


def seconds(step: Callable[[], Tensor], device: str) -> float:
    started = time.perf_counter()
    step()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started


def measured_apart(runner: str, form: str, options: argparse.Namespace) -> dict[str, float] | str:
    """The figures, or why there are none: a peer may lack memory or a library."""
    command = [sys.executable, "-m", "benchmarks.quantised_flux_gpu", "--measure", runner, form]
    command += ["--steps", str(options.steps), "--side", str(options.side)]
    command += ["--tiny"] if options.tiny else []
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode:
        return (run.stderr.strip().splitlines() or ["ended without a word"])[-1][:120]
    found: dict[str, float] = json.loads(run.stdout.splitlines()[-1])
    return found


def compare(options: argparse.Namespace) -> Report:
    setting: dict[str, Cell] = {
        "device": "none: a trial run" if options.tiny else torch.cuda.get_device_name(),
        "picture": f"{options.side} x {options.side}",
        "text tokens": TEXT_TOKENS,
        "computed in": "bfloat16",
        "steps": options.steps,
    }
    aim = "no slower than the peer in the same form, in no more memory"
    report = Report("quantised_flux_gpu", "A random Flux of 12 B weights on a GPU", aim, setting)
    for form in FORMS:
        for runner in (OURS, PEER):
            found = measured_apart(runner, form, options)
            row: dict[str, Cell] = {"form": form, "runner": runner}
            if isinstance(found, str):
                row["failed"] = found
            else:
                row["s a step"] = round(found["step"], 4)
                row["first step s"] = round(found["first"], 2)
                for key in () if options.tiny else ("weights", "peak"):
                    row[f"{key} GB"] = round(found[key] / 1e9, 2)
            report.rows.append(row)
    return report


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--side", type=int, default=1024, help="of the picture, in pixels: a multiple of 16")
    parser.add_argument("--tiny", action="store_true", help="a small transformer on a CPU; nothing is kept")
    parser.add_argument("--measure", nargs=2, metavar=("RUNNER", "FORM"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        runner, form = options.measure
        print(json.dumps(measure(runner, form, options.steps, options.side, options.tiny)))
    elif options.tiny:
        print(compare(options).table())
    elif torch.cuda.is_available():
        compare(options).finish()
    else:
        print("quantised_flux_gpu: skipped, as there is no CUDA device here; nothing was measured.")


if __name__ == "__main__":
    main()
