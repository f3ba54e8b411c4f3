"""The embedded model beside diffusers' `FluxPipeline` on the same weights: 20 Euler steps with CFG.

From prompt to finished picture, in turns, with a new prompt each round so that no cache of prompts helps.
Ours also writes the file, with infotext. 'difference' is the largest one between the two pictures, of 255.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.diffusers_pipeline import peer_pipeline
from benchmarks.timing import Report, Timing, take_turns, time_call
from sfumato import Studio

OURS, PEER = "sfumato", "diffusers FluxPipeline"
MODEL, STEPS, CFG_SCALE, SIZE = "emoji", 20, 3.0, 64
PROMPTS = (
    "a red apple",
    "a pizza",
    "a cat face",
    "a rocket",
    "a rainbow",
    "a sunflower",
    "a penguin",
    "a blue car",
)

Draw = Callable[[str, int], list[Image.Image]]


def our_pictures(studio: Studio, model: str, folder: Path, batch_size: int) -> Draw:
    def draw(prompt: str, seed: int) -> list[Image.Image]:
        result = studio.generate(
            prompt,
            model=model,
            seed=seed,
            steps=STEPS,
            cfg_scale=CFG_SCALE,
            width=SIZE,
            height=SIZE,
            sampler="euler",
            batch_size=batch_size,
            output_folder=folder,
        )
        return [Image.open(record.path) for record in result.images]

    return draw


def peer_pictures(pipeline: Any, batch_size: int) -> Draw:
    def draw(prompt: str, seed: int) -> list[Image.Image]:
        found = pipeline(
            prompt,
            negative_prompt="",
            true_cfg_scale=CFG_SCALE,
            num_inference_steps=STEPS,
            width=SIZE,
            height=SIZE,
            num_images_per_prompt=batch_size,
            max_sequence_length=pipeline.tokenizer_2.model_max_length,
            generator=[torch.Generator().manual_seed(seed + number) for number in range(batch_size)],
        )
        return list(found.images)

    return draw


def timed(draw: Draw) -> Callable[[], Timing]:
    """Each call draws another prompt from another seed."""
    work = itertools.count()
    return lambda: time_call(partial(_draw_number, draw, next(work)))


def _draw_number(draw: Draw, number: int) -> list[Image.Image]:
    return draw(PROMPTS[number % len(PROMPTS)], number)


def difference(first: list[Image.Image], second: list[Image.Image]) -> int:
    pairs = zip(first, second, strict=True)
    return max(int(np.abs(np.asarray(a, dtype=int) - np.asarray(b, dtype=int)).max()) for a, b in pairs)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one round: for trying the benchmark out")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--model", default=MODEL, help="a Flux model with all its parts in one file")
    options = parser.parse_args()
    rounds = 1 if options.quick else 7
    torch.set_num_threads(options.threads)

    studio = Studio()
    pipeline = peer_pipeline(studio.library.find(options.model))
    report = Report(
        "emoji_sampling",
        "The embedded model, prompt to picture",
        "0.8 or less of the peer's time",
        {
            "steps": STEPS,
            "CFG scale": CFG_SCALE,
            "size": f"{SIZE}x{SIZE}",
            "threads": options.threads,
            "rounds": rounds,
        },
    )
    with tempfile.TemporaryDirectory() as folder:
        for batch_size in (1, 8):
            draws = {
                OURS: our_pictures(studio, options.model, Path(folder), batch_size),
                PEER: peer_pictures(pipeline, batch_size),
            }
            report.add(
                f"batch {batch_size}", take_turns({n: timed(d) for n, d in draws.items()}, rounds), peer=PEER
            )
            report.rows[-2]["difference"] = difference(*(draw(PROMPTS[0], 0) for draw in draws.values()))
    report.finish()


if __name__ == "__main__":
    main()
