"""Pictures of the embedded model with quantised weights beside the same with bfloat16 ones, in turns.

    python -m benchmarks.quantised_picture [--rounds 7] [--forms "GGUF Q8_0" NF4 ...]

The same request for every form, from the prompt to the saved file, each round with another prompt and seed so
that nothing is left over from the one before. GGUF files hold the whole model, all matrices quantised as the
mix says; NF4 and fp8 are packed while the model is loaded. 'kept plain' keeps dequantised weights in memory.
'PSNR dB' is that of one picture against bfloat16's, 'weights MB' what the network that draws takes as stored.
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from math import inf, log10
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.emoji_sampling import CFG_SCALE, MODEL, PROMPTS, SIZE, STEPS
from benchmarks.timing import Cell, Report, Timing, take_turns, time_call
from sfumato import Studio
from sfumato.settings import Settings

PLAIN = "bfloat16"


@dataclass(frozen=True)
class Form:
    """How weights are stored.

    Attributes:
        mix: Of a GGUF file; empty for the model's own file.
        settings: Beside those of all.
    """

    mix: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)


FORMS: Mapping[str, Form] = {
    PLAIN: Form(),
    "GGUF Q8_0": Form("q8_0"),
    "GGUF Q8_0, kept plain": Form("q8_0", {"engine.keep_dequantised": "2048"}),
    "GGUF Q6_K": Form("q6_k"),
    "GGUF Q5_0": Form("q5_0"),
    "GGUF Q4_0": Form("q4_0"),
    "GGUF Q4_K_M": Form("q4_k_m"),
    "NF4": Form("", {"engine.quantisation": "nf4"}),
    "fp8 e4m3": Form("", {"engine.quantisation": "fp8_e4m3"}),
}

Draw = Callable[[str, int], Path]


def write_gguf(folder: Path, mix: str) -> Path:
    """The whole embedded model, with its tokenizers beside it."""
    path = folder / mix / "emoji.gguf"
    path.parent.mkdir()
    program = Path(sys.executable).parent / "sfumato"
    command = [str(program), "quantize", MODEL, "--part", "all", "--to", mix, "--output", str(path)]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode:
        raise RuntimeError(run.stderr[-2000:])
    shutil.copytree(Studio().library.find(MODEL).path.parent / "tokenizers", path.parent / "tokenizers")
    return path


def studio_of(form: Form, folder: Path) -> Studio:
    overrides = {"engine.dtype": "bfloat16", "engine.device": "cpu", **form.settings}
    return Studio(Settings.load(file=folder / "no-settings.toml", environ={}, overrides=overrides))


def drawer(form: Form, folder: Path) -> tuple[Studio, Draw]:
    studio = studio_of(form, folder)
    model = str(write_gguf(folder, form.mix)) if form.mix and not (folder / form.mix).exists() else MODEL
    if form.mix:
        model = str(folder / form.mix / "emoji.gguf")
    asked: dict[str, Any] = {"steps": STEPS, "cfg_scale": CFG_SCALE, "width": SIZE, "height": SIZE}

    def draw(prompt: str, seed: int) -> Path:
        result = studio.generate(
            prompt,
            **{**asked, "model": model, "seed": seed, "sampler": "euler", "output_folder": folder / "out"},
        )
        return result.images[0].path

    return studio, draw


def timed(draw: Draw) -> Callable[[], Timing]:
    """Each call draws another prompt from another seed."""
    numbers = itertools.count()

    def run() -> Timing:
        number = next(numbers)
        return time_call(partial(draw, PROMPTS[number % len(PROMPTS)], number))

    return run


def psnr(first: Path, second: Path) -> float:
    """Peak signal-to-noise ratio of two pictures in decibels."""
    one, other = (np.asarray(Image.open(path).convert("RGB"), dtype=float) for path in (first, second))
    error = float(((one - other) ** 2).mean())
    return inf if error == 0 else 10 * log10(255**2 / error)


def weight_bytes(studio: Studio) -> int:
    """Of the network that draws, as its layers hold it."""
    from sfumato_engine.model_manager import WORKSPACE_KEY
    from sfumato_networks.stored.tensor import stored_form

    manager = studio.workspace[WORKSPACE_KEY]
    (kept,) = manager.models.values()
    return sum(stored_form(weight).nbytes for weight in kept.model.networks["transformer"].parameters())


def compare(folder: Path, names: list[str], rounds: int, threads: int) -> None:
    drawers = {name: drawer(FORMS[name], folder) for name in dict.fromkeys([PLAIN, *names])}
    setting: dict[str, Cell] = {
        "steps": STEPS,
        "CFG scale": CFG_SCALE,
        "size": f"{SIZE}x{SIZE}",
        "rounds": rounds,
        "threads": threads,
        "compiled kernels": kernels_there(),
    }
    report = Report(
        "quantised_picture",
        "Pictures with quantised weights",
        "Q8_0 at most 1.15 of bfloat16",
        setting,
    )
    timings = take_turns({name: timed(draw) for name, (_, draw) in drawers.items()}, rounds)
    report.add("a picture", timings, peer=PLAIN)
    pictures = {name: draw(PROMPTS[0], 1) for name, (_, draw) in drawers.items()}
    for row in report.rows:
        name = str(row["runner"])
        row["PSNR dB"] = "" if name == PLAIN else round(psnr(pictures[name], pictures[PLAIN]), 1)
        row["weights MB"] = round(weight_bytes(drawers[name][0]) / 1e6, 2)
    report.finish()


def kernels_there() -> str:
    from sfumato_quant_gguf.native import native_kernels

    return "no" if native_kernels() is None else "yes"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=list(FORMS))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        compare(Path(folder), options.forms, options.rounds, options.threads)


if __name__ == "__main__":
    main()
