"""A linear layer with its weight in GGUF's blocks, beside dense bfloat16, diffusers and bitsandbytes' NF4.

    python -m benchmarks.gguf_linear [--rounds 7] [--shapes 3072x3072,12288x3072] [--tokens 1,4,64,1024]
        [--types Q4_K,Q8_0,Q5_K,Q6_K] [--threads 1]

Without bias, in bfloat16. 'dense' is `torch.nn.functional.linear` with plain weights, the limit for many
tokens; 'torch alone' is ours without the kernels in C. 'off by' is against the product in float32 with the
same weights (for NF4, another format, with those that it was made from).
"""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.gguf_blocks import off_by, pin_to_one_core, random_weight, take_counted_turns
from benchmarks.gguf_peers import rows_of
from benchmarks.timing import Cell, Report
from sfumato_quant_gguf.linear import linear_by
from sfumato_quant_gguf.native import native_kernels
from sfumato_quant_gguf.weight import GgufWeight

DENSE, OURS = "dense bfloat16", "sfumato"


def diffusers_layer(weight: GgufWeight) -> Callable[[Tensor], Any]:
    import gguf
    from diffusers.quantizers.gguf.utils import GGUFLinear, GGUFParameter

    layer = GGUFLinear(8, 8, bias=False, compute_dtype=torch.bfloat16)
    kind = gguf.GGMLQuantizationType[weight.type_name]
    layer.weight = GGUFParameter(rows_of(weight), quant_type=kind)
    return layer


def nf4_layer(plain: Tensor) -> Callable[[Tensor], Any]:
    import bitsandbytes as bnb

    outputs, inputs = plain.shape
    layer = bnb.nn.Linear4bit(inputs, outputs, bias=False, compute_dtype=torch.bfloat16, quant_type="nf4")
    layer.weight = bnb.nn.Params4bit(plain.bfloat16(), requires_grad=False, quant_type="nf4")
    return layer.to("cpu").eval()


def layers_of(weight: GgufWeight, plain: Tensor) -> dict[str, Callable[[Tensor], Any]]:
    """By the name of who computes: x to the product."""
    dense, kernels = plain.bfloat16(), native_kernels()
    layers: dict[str, Callable[[Tensor], Any]] = {
        DENSE: lambda x: F.linear(x, dense),
        "diffusers": diffusers_layer(weight),
        f"{OURS}, torch alone": lambda x: linear_by(None, weight, x, None),
    }
    if importlib.util.find_spec("bitsandbytes"):
        layers["bitsandbytes NF4"] = nf4_layer(plain)
    if kernels is not None:
        layers[OURS] = lambda x: linear_by(kernels, weight, x, None)
    return layers


def compare(report: Report, weight: GgufWeight, tokens: list[int], rounds: int) -> None:
    plain = weight.dequantised(torch.float32)
    layers = layers_of(weight, plain)
    for count in tokens:
        x = torch.randn(count, weight.shape[1], generator=torch.Generator().manual_seed(1)).bfloat16()
        wanted = F.linear(x.float(), plain)
        errors = {name: off_by(layer(x), wanted) for name, layer in layers.items()}
        runners = {name: partial(layer, x) for name, layer in layers.items()}
        measured = take_counted_turns(runners, rounds)
        for name, one in measured.items():
            row: dict[str, Cell] = {
                "layer": "x".join(map(str, weight.shape)),
                "type": weight.type_name,
                "tokens": count,
                "runner": name,
                "CPU ms": round(one.timing.cpu * 1e3, 2),
                "wall ms": round(one.timing.wall * 1e3, 2),
                "dense = 1": round(one.timing.cpu / measured[DENSE].timing.cpu, 2),
                "faulted MB": round(one.faulted, 1),
                "off by": float(f"{errors[name]:.1e}"),
            }
            report.rows.append(row)
    print(f"{weight.type_name} {list(weight.shape)} done", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--shapes", default="3072x3072,12288x3072", help="outputs x inputs")
    parser.add_argument("--tokens", default="1,4,64,1024")
    parser.add_argument("--types", default="Q4_K,Q8_0,Q5_K,Q6_K")
    options = parser.parse_args()
    pin_to_one_core(options.threads)
    kernels = native_kernels()
    report = Report(
        "gguf_linear",
        "A linear layer with its weight in GGUF's blocks",
        "3072x3072, Q4_K and Q8_0: 1 ms for one token, 1.4 of dense for 64, 1.05 for 1024",
        {
            "rounds": options.rounds,
            "threads": options.threads,
            "kernels in C": "none" if kernels is None else f"variant {kernels.variant}",
        },
    )
    for shape in options.shapes.split(","):
        outputs, inputs = map(int, shape.split("x"))
        for type_name in options.types.split(","):
            weight = random_weight(type_name, outputs, inputs)
            compare(report, weight, [int(count) for count in options.tokens.split(",")], options.rounds)
    report.finish()


if __name__ == "__main__":
    main()
