"""Trains the demonstration LoRA, "all blue": ``python -m training.train_lora``. It needs no pictures.

The model teaches itself: it draws what it knows, the drawings are recoloured, and low-rank changes of its
layers (LoRA, Hu et al. 2021, arXiv:2106.09685) learn to draw them so for the same prompts, by the model's own
loss.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import save
from torch import Tensor, nn

from sfumato_models_flux.transformer import FluxTransformer, pack

from .captions import STYLE_WORDS, Subject, caption, training_caption
from .colours import BACKGROUNDS, COLOURS
from .concepts import vocabulary
from .export import load_exported
from .parallel import start_log
from .schedule import learning_rate_factor
from .sheet import Artist, arrange, to_pictures
from .train_flux import flow_loss

PLUGIN = Path(__file__).resolve().parent.parent
WEIGHTS = PLUGIN / "sfumato_model_emoji" / "weights"
NAME = "all_blue"
RANK = 8
LAYERS = ("qkv", "proj", "mlp.0", "mlp.2", "linear1", "linear2")
"""What the names of the layers that are changed end with: attention and MLPs of all blocks."""
HELD_OUT = 8
"""One name in so many is never shown, so that tests can ask for things that the LoRA has not seen."""
BLUES = ((1.0, 1.0, 1.0), (0.5, 0.76, 1.0), (0.16, 0.48, 0.95), (0.08, 0.27, 0.72), (0.03, 0.09, 0.32))
"""From the colour that white becomes to the one that black becomes, in equal steps."""
SHEET_PROMPTS = (
    "a grinning face",
    "a butterfly",
    "a red rose",
    "a yellow cap",
    "noto emoji of a strawberry",
    "a panda on a pink background",
)
"""Of things held out."""
LUMA = (0.299, 0.587, 0.114)
SATURATED_DARKNESS = 0.4
"""How dark a pure bright colour counts at least: yellow is not to become white."""

log = logging.getLogger("training")


@dataclass(frozen=True)
class Options:
    """How long and how fast."""

    steps: int = 1100
    batch: int = 32
    learning_rate: float = 3e-3


def gradient_map(images: Tensor) -> Tensor:
    """Images ``[b, 3, h, w]`` in -1..1 in blues alone: how dark a pixel is chooses its blue; white stays."""
    rgb = (images.clamp(-1, 1) + 1) / 2
    luma = torch.einsum("bchw,c->bhw", rgb, torch.tensor(LUMA))
    chroma = rgb.amax(1) - rgb.amin(1)
    darkness = torch.maximum(1 - luma, SATURATED_DARKNESS * chroma)
    place = darkness * (len(BLUES) - 1)
    lower = place.floor().clamp(0, len(BLUES) - 2)
    blues = torch.tensor(BLUES)
    mixed = torch.lerp(blues[lower.long()], blues[lower.long() + 1], (place - lower)[..., None])
    return mixed.permute(0, 3, 1, 2) * 2 - 1


def names(held_out: bool = False) -> list[tuple[str, ...]]:
    """What the things listed in the vocabulary are called: those shown in training, or those held out."""
    known = vocabulary()
    labels = sorted(({*known.everyday} | known.common | known.extra) - known.dropped)
    return [
        known.everyday.get(label, (label,))
        for number, label in enumerate(labels)
        if (number % HELD_OUT == 0) == held_out
    ]


def subjects() -> list[Subject]:
    """Each thing as it is, in one of the colours, and in any style, now and then on a background."""
    rng = random.Random(0)
    found = []
    for called in names():
        style, background = rng.choice(list(STYLE_WORDS)), rng.choice([None, *BACKGROUNDS])
        found.append(Subject(called))
        found.append(Subject(called, colour=rng.choice(COLOURS)))
        found.append(Subject(called, style, background=background))
    return found


@torch.no_grad()
def draw_recoloured(artist: Artist, wanted: Sequence[Subject], batch: int = 50) -> Tensor:
    """Packed latents ``[n, 16, 64]`` of the model's own drawings of the subjects, in blues."""
    rng, parts = random.Random(1), []
    for start in range(0, len(wanted), batch):
        texts = [caption(subject, rng) for subject in wanted[start : start + batch]]
        with torch.autocast("cpu", torch.bfloat16):
            images = artist.draw(texts, seed=start)
        latents = (artist.autoencoder.encode(gradient_map(images)) - artist.shift) * artist.scale
        parts.append(pack(latents))
        log.info("drawn: %d of %d", start + len(texts), len(wanted))
    return torch.cat(parts)


class LowRank(nn.Module):
    """What is added to a layer's output: ``up(down(x))``, nothing at first."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.down = nn.Linear(layer.in_features, RANK, bias=False)
        self.up = nn.Linear(RANK, layer.out_features, bias=False)
        nn.init.kaiming_uniform_(self.down.weight, a=math.sqrt(5))
        nn.init.zeros_(self.up.weight)

    def __call__(self, layer: nn.Module, inputs: tuple[Tensor], output: Tensor) -> Tensor:
        """As a forward hook of the layer."""
        return output + self.up(self.down(inputs[0]))


def add_low_rank(transformer: FluxTransformer) -> dict[str, LowRank]:
    """New changes by the path of their layer, in force from now on."""
    changes = {
        path: LowRank(layer)
        for path, layer in transformer.named_modules()
        if isinstance(layer, nn.Linear) and "_blocks." in path and path.endswith(LAYERS)
    }
    for path, change in changes.items():
        transformer.get_submodule(path).register_forward_hook(change)
    return changes


def train(artist: Artist, clean: Tensor, shown: Sequence[Subject], options: Options) -> dict[str, LowRank]:
    """The changes with which the model draws ``clean`` [n, 16, 64] for the subjects ``shown``."""
    torch.manual_seed(0)
    rng = random.Random(2)
    changes = add_low_rank(artist.model.transformer)
    parameters = [weights for change in changes.values() for weights in change.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=options.learning_rate, betas=(0.9, 0.98), weight_decay=0.0)
    recent = 0.0
    for step in range(options.steps):
        factor = learning_rate_factor(step, step / options.steps, warmup=20, flat=0.3)
        optimiser.param_groups[0]["lr"] = options.learning_rate * factor
        rows = rng.sample(range(len(shown)), options.batch)
        texts = [training_caption(shown[row], rng) for row in rows]
        loss = flow_loss(artist.model, clean[rows], texts, artist.prompts)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        optimiser.zero_grad()
        recent = loss.item() if step == 0 else 0.95 * recent + 0.05 * loss.item()
        if step % 50 == 49:
            log.info("LoRA: step %d of %d, loss %.4f", step + 1, options.steps, recent)
    return changes


def tensors(changes: Mapping[str, LowRank]) -> dict[str, Tensor]:
    """Float16 weights under kohya's names; an alpha that equals the rank means a scale of 1."""
    found = {}
    for path, change in changes.items():
        stem = f"lora_unet_{path.replace('.', '_')}"
        found[f"{stem}.lora_down.weight"] = change.down.weight.detach().half()
        found[f"{stem}.lora_up.weight"] = change.up.weight.detach().half()
        found[f"{stem}.alpha"] = torch.tensor(float(RANK)).half()
    return found


def write(changes: Mapping[str, LowRank], path: Path) -> None:
    """The file as sd-scripts would name its tensors and describe it."""
    weights = tensors(changes)
    stored = save(weights)
    start = 8 + int.from_bytes(stored[:8], "little")
    texts = {
        "ss_base_model_version": "flux1",
        "ss_network_module": "networks.lora_flux",
        "ss_network_dim": str(RANK),
        "ss_network_alpha": str(float(RANK)),
        "ss_output_name": NAME,
        "sshs_model_hash": hashlib.sha256(stored[start:]).hexdigest(),  # of the tensors, not of the header
        "modelspec.sai_model_spec": "1.0.0",
        "modelspec.architecture": "flux-1/lora",
        "modelspec.title": "All Blue",
        "modelspec.description": "Whatever Sfumato Emoji draws, in blues; made from that model alone",
        "modelspec.license": "Apache-2.0",
        "modelspec.resolution": "64x64",
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(save(weights, texts))


def write_sheet(artist: Artist, path: Path) -> None:
    """A row of the model's own drawings, and a row of those of the changed model ``artist``, from seed 0."""
    rows = [one.draw(SHEET_PROMPTS) for one in (load_exported(WEIGHTS), artist)]
    sheet = arrange(to_pictures(torch.cat(rows)), SHEET_PROMPTS * 2, columns=len(SHEET_PROMPTS))
    sheet.quantize(160, dither=Image.Dither.NONE).save(path, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="training.train_lora", description=__doc__)
    parser.add_argument("--steps", type=int, default=Options.steps)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--sheet", type=Path, default=PLUGIN / "docs" / f"{NAME}.png")
    parser.add_argument("--target", type=Path, default=WEIGHTS / "loras" / f"{NAME}.safetensors")
    given = parser.parse_args()
    start_log()
    torch.set_num_threads(given.threads)
    artist, shown = load_exported(WEIGHTS), subjects()
    clean = draw_recoloured(artist, shown)
    write(train(artist, clean, shown, Options(given.steps)), given.target)
    write_sheet(artist, given.sheet)
    log.info("%s: %.0f kB", given.target, given.target.stat().st_size / 1e3)


if __name__ == "__main__":
    main()
