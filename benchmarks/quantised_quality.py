"""What each of GGUF's types does to the pictures of the embedded model: PSNR against its float pictures.

    python -m benchmarks.quantised_quality [--quick] [--types Q8_0 Q4_K ...]

The diffusion model is written in one type throughout but for what `sfumato quantize` always keeps, the text
encoders and the autoencoder stay as they are, and all computes in float32. The rows of this tiny network are
no whole blocks of 256: they are cut into such rows, as those of UNets are, so that every type can be
measured. 'mix' has the layers of the preset of that name, likewise. Pictures are compared before they are
saved, in float32; 'relative error' is that of the quantised weights, 'bits' what one of them takes.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.timing import Cell, Report
from sfumato import Studio
from sfumato.models import LoadedModel, Placement, PromptText
from sfumato_quant_gguf.writing.contents import ALL
from sfumato_quant_gguf.writing.journal import WrittenTensor
from sfumato_quant_gguf.writing.planning import PlannedTensor
from sfumato_quant_gguf.writing.presets import PRESETS, Mix, block_counts
from sfumato_quant_gguf.writing.quantising import prepare
from sfumato_quant_gguf.writing.writer import GgufTask, write_gguf
from sfumato_quant_gguf.written_types import WRITABLE

MODEL, STEPS, SIDE = "emoji", 12, 64
PROMPTS = ("a red apple", "a cat face", "a rocket", "a sunflower")
MIXES = ("q5_k_m", "q4_k_m", "q4_k_s", "q3_k_m", "q2_k")
_DIFFUSION_MODEL = "model.diffusion_model."
_ROW = 256


def written(studio: Studio, mix: Mix, folder: Path) -> tuple[Path, list[WrittenTensor], list[PlannedTensor]]:
    """The whole model with the diffusion model's layers in the types of this mix."""
    work = prepare(studio.library, MODEL, "f32", part=ALL, output=folder / "quantised.gguf")
    depths = block_counts(work.content.tensors)
    tensors = [_in_type(tensor, mix, depths) for tensor in work.task.tensors]
    metadata = dict(work.task.metadata)
    for tensor in tensors:
        if tensor.rows != tensor.shape:
            metadata[f"comfy.gguf.orig_shape.{tensor.name}"] = list(tensor.shape)
    task = GgufTask(work.task.source, tensors, metadata, work.task.output)
    opened = work.content.open(studio.library.open_tensors(work.content.header.path))
    return task.output, write_gguf(task, opened, force=True), tensors


def _in_type(tensor: PlannedTensor, mix: Mix, depths: Mapping[str, int]) -> PlannedTensor:
    if tensor.kept or not tensor.name.startswith(_DIFFUSION_MODEL):
        return tensor
    numbers = prod(tensor.shape)
    return replace(
        tensor, type_name=mix.type_of(tensor.name, depths), rows=(numbers // _ROW, _ROW), kept=False
    )


def loaded(studio: Studio, path: Path) -> LoadedModel:
    info = studio.library.detect(path)
    family: Any = studio.registries.model_families.get(info.family).load()()
    model: LoadedModel = family.load(info, studio.library, Placement(device="cpu", dtype="float32"))
    return model


@torch.inference_mode()
def drawn(model: LoadedModel, prompts: Sequence[str]) -> Tensor:
    """Pixels [prompts, 3, 64, 64], by Euler's method and without guidance, so that nothing is amplified."""
    latents = (1, model.latent_format.channels, SIDE // 8, SIDE // 8)
    sigmas = [1 - step / STEPS for step in range(STEPS + 1)]
    pictures = []
    for seed, prompt in enumerate(prompts):
        told = [model.condition(PromptText((((prompt, 1.0),),)), {})]
        x = torch.randn(latents, generator=torch.Generator().manual_seed(seed))
        for sigma, target in pairwise(sigmas):
            x = x + (x - model.denoise(x, sigma, told, {})) / sigma * (target - sigma)
        pictures.append(model.decode(x))
    return torch.cat(pictures)


def compared(pictures: Tensor, reference: Tensor) -> dict[str, Cell]:
    """PSNR in dB (of the mean of all squared differences), and the mean difference of 255 steps."""
    error = float((pictures - reference).square().mean())
    return {
        "PSNR dB": round(-10 * math.log10(error), 1) if error else "same",
        "mean difference, of 255": round(255 * float((pictures - reference).abs().mean()), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one prompt and two types")
    parser.add_argument("--types", nargs="*", metavar="TYPE", help="types of the format, by default all")
    options = parser.parse_args()
    prompts = PROMPTS[:1] if options.quick else PROMPTS
    types = options.types or (("Q8_0", "Q4_K") if options.quick else WRITABLE)
    mixes = {name: Mix(name, 0) for name in types}
    mixes |= {} if options.quick or options.types else {f"mix {name}": PRESETS[name] for name in MIXES}

    studio = Studio()
    report = Report(
        "quantised_quality",
        "Pictures of the embedded model with its diffusion model in each of GGUF's types",
        "more bits, better pictures",
        {
            "steps": STEPS,
            "sampler": "Euler",
            "guidance": "none",
            "prompts": len(prompts),
            "size": f"{SIDE}x{SIDE}",
        },
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = studio.library.find(MODEL).path
        (folder / "tokenizers").symlink_to(source.parent / "tokenizers")
        reference = drawn(loaded(studio, source), prompts)
        for case, mix in mixes.items():
            path, tensors, planned = written(studio, mix, folder)
            report.rows.append({"type": case, **_lost(tensors, planned)})
            report.rows[-1] |= compared(drawn(loaded(studio, path), prompts), reference)
            print(report.rows[-1], flush=True)
    report.finish()


def _lost(written: Sequence[WrittenTensor], planned: Sequence[PlannedTensor]) -> dict[str, float]:
    """Of the tensors that were not kept: bits a number, and the error."""
    chosen = {t.name for t in planned if not t.kept and t.name.startswith(_DIFFUSION_MODEL)}
    found = [tensor for tensor in written if tensor.name in chosen]
    bits = 8 * sum(tensor.size_bytes for tensor in found) / sum(tensor.numbers for tensor in found)
    error = sum(tensor.squared_error for tensor in found) / sum(tensor.squares for tensor in found)
    return {"bits": round(bits, 2), "relative error": round(error**0.5, 4)}


if __name__ == "__main__":
    main()
