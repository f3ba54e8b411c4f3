"""GGUF's blocks made plain numbers: ours beside gguf's own package, diffusers, ComfyUI-GGUF and Forge.

    python -m benchmarks.gguf_dequantise [--rounds 7] [--shape 12288x3072] [--types Q4_K,Q8_0] [--threads 1]
        [--comfyui-gguf DIR] [--forge DIR]

All give bfloat16 but the package, which has float32 alone. 'kept buffer' is how layers use ours: a part of
the weight at a time, into memory that is there; 'new tensor' fills new memory at each call, as all peers do.
'torch alone' is ours without the kernels in C. 'faulted' is memory that a call has the system hand over.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from benchmarks.gguf_blocks import (
    SCALES,
    Measured,
    off_by,
    pin_to_one_core,
    random_weight,
    take_counted_turns,
)
from benchmarks.gguf_peers import Peer, comfyui_gguf, diffusers, forge, gguf_package
from benchmarks.timing import Report
from sfumato_quant_gguf.dequantise import dequantise_by
from sfumato_quant_gguf.native import native_kernels
from sfumato_quant_gguf.weight import GgufWeight

OURS = "sfumato"


def our_runners(weight: GgufWeight) -> dict[str, Callable[[], Any]]:
    kernels, dtype = native_kernels(), torch.bfloat16
    buffer = torch.empty(weight.numel, dtype=dtype)

    def run(by: Any, out: torch.Tensor | None) -> Callable[[], Any]:
        return lambda: dequantise_by(by, weight.packed, weight.type_name, dtype, out, weight.tiles)

    runners = {f"{OURS}, torch alone, kept buffer": run(None, buffer)}
    if kernels is not None:
        runners |= {f"{OURS}, kept buffer": run(kernels, buffer), f"{OURS}, new tensor": run(kernels, None)}
    return runners


def compare(report: Report, weight: GgufWeight, peers: Mapping[str, Peer], rounds: int) -> None:
    found = {name: run for name, peer in peers.items() if (run := peer(weight)) is not None}
    runners = {**found, **our_runners(weight)}
    wanted = gguf_package(weight)()
    errors = {name: off_by(run(), wanted) for name, run in runners.items()}
    measured = take_counted_turns(runners, rounds)
    best = min(measured[name].timing.cpu for name in found)
    for name, one in measured.items():
        add_row(report, weight, name, one, best / one.timing.cpu, errors[name])
    print(f"{weight.type_name} done", flush=True)


def add_row(
    report: Report, weight: GgufWeight, runner: str, one: Measured, times: float, error: float
) -> None:
    report.rows.append(
        {
            "type": weight.type_name,
            "runner": runner,
            "CPU ms": round(one.timing.cpu * 1e3, 2),
            "wall ms": round(one.timing.wall * 1e3, 2),
            "G weights/CPU s": round(weight.numel / one.timing.cpu / 1e9, 3),
            "times the best peer": round(times, 2),
            "faulted MB": round(one.faulted, 1),
            "off by": float(f"{error:.1e}"),
        }
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--shape", default="12288x3072", help="outputs x inputs")
    parser.add_argument("--types", default=",".join(SCALES))
    parser.add_argument("--comfyui-gguf", type=Path, metavar="DIR", help="a checkout of ComfyUI-GGUF")
    parser.add_argument("--forge", type=Path, metavar="DIR", help="a checkout of Forge")
    options = parser.parse_args()
    pin_to_one_core(options.threads)
    peers: dict[str, Peer] = {"gguf, float32": gguf_package, "diffusers": diffusers}
    if options.comfyui_gguf:
        peers["ComfyUI-GGUF"] = comfyui_gguf(options.comfyui_gguf, in_target_type=False)
        peers["ComfyUI-GGUF, in bfloat16"] = comfyui_gguf(options.comfyui_gguf, in_target_type=True)
    if options.forge:
        peers["Forge"] = forge(options.forge)
    kernels = native_kernels()
    report = Report(
        "gguf_dequantise",
        "GGUF's blocks as bfloat16",
        "5 times the best Python peer for Q4_K and Q8_0, 3 times for the others",
        {
            "weight": options.shape,
            "rounds": options.rounds,
            "threads": options.threads,
            "kernels in C": "none" if kernels is None else f"variant {kernels.variant}",
        },
    )
    outputs, inputs = map(int, options.shape.split("x"))
    for type_name in options.types.split(","):
        compare(report, random_weight(type_name, outputs, inputs), peers, options.rounds)
    report.finish()


if __name__ == "__main__":
    main()
