"""What both benchmarks of GGUF share: weights in blocks, turns that count faults, and a core of one's own."""

from __future__ import annotations

import os
import resource
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.timing import Timing, time_call
from sfumato_quant_gguf.blocks.tiles import Tiles
from sfumato_quant_gguf.weight import GgufWeight

SCALES: Mapping[str, tuple[int, ...]] = {
    **{"Q4_0": (0,), "Q4_1": (0, 2), "Q5_0": (0,), "Q5_1": (0, 2), "Q8_0": (0,)},
    **{"Q2_K": (80, 82), "Q3_K": (108,), "Q4_K": (0, 2), "Q5_K": (0, 2), "Q6_K": (208,)},
    **{"IQ4_NL": (0,), "IQ4_XS": (0,)},
}
"""Where a block of each type has its float16 scales."""


@dataclass(frozen=True)
class Measured:
    """Medians of a call.

    Attributes:
        faulted: MB of memory that the system handed to the process.
    """

    timing: Timing
    faulted: float


def pin_to_one_core(threads: int) -> None:
    """Keep a single thread on one core, so that its caches stay its own."""
    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    if threads == 1:
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def random_weight(type_name: str, outputs: int, inputs: int) -> GgufWeight:
    """Random codes with scales of ordinary size."""
    import gguf

    size, size_bytes = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[type_name]]
    random = np.random.default_rng(0)
    blocks = random.integers(0, 256, (outputs * inputs // size, size_bytes), dtype=np.uint8)
    for at in SCALES[type_name]:
        scales = (random.random((len(blocks), 1)) * 0.01 + 0.001).astype(np.float16)
        blocks[:, at : at + 2] = scales.view(np.uint8)
    return GgufWeight(torch.from_numpy(blocks.reshape(-1)), type_name, (outputs, inputs), Tiles())


def take_counted_turns(runners: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, Measured]:
    """Runners take turns, after one uncounted run each."""
    found: dict[str, list[Measured]] = {name: [] for name in runners}
    for number in range(rounds + 1):
        for name, run in runners.items():
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
            timing = time_call(run)
            faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
            if number:
                found[name].append(Measured(timing, faults * resource.getpagesize() / 1e6))
    return {
        name: Measured(
            Timing(
                statistics.median(one.timing.cpu for one in all_found),
                statistics.median(one.timing.wall for one in all_found),
            ),
            statistics.median(one.faulted for one in all_found),
        )
        for name, all_found in found.items()
    }


def off_by(found: Tensor, wanted: Tensor) -> float:
    """The norm of the difference, as a share."""
    return float((found.float().reshape(wanted.shape) - wanted).norm() / wanted.norm())
