"""Writes the model as the package ships it: one file with all weights, and the two tokenizers beside it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from sfumato_networks.autoencoder import Autoencoder

from . import data, latents, tokenizers
from .latents import LatentSet
from .networks import EmojiModel, Prompts
from .sheet import Artist
from .train_autoencoder import CONFIG
from .train_flux import load_artist

FILE = "emoji_flux.safetensors"
PREFIXES = {
    "transformer": "model.diffusion_model.",
    "clip": "text_encoders.clip_l.transformer.",
    "t5": "text_encoders.t5xxl.transformer.",
}
VAE_PREFIX = "vae."


def tensors(model: EmojiModel, autoencoder: Autoencoder) -> dict[str, Tensor]:
    """All weights in float16 under the names of a single-file checkpoint that has every part in it."""
    parts: list[tuple[str, nn.Module]] = [(prefix, getattr(model, name)) for name, prefix in PREFIXES.items()]
    parts.append((VAE_PREFIX, autoencoder))
    return {
        prefix + name: tensor.detach().half().contiguous()
        for prefix, part in parts
        for name, tensor in part.state_dict().items()
    }


def metadata(
    data_set: LatentSet, projection: dict[str, list], step: int, evaluation: dict[str, object]
) -> dict[str, str]:
    """Title, licence, latent format, preview colours and figures, all text."""
    return {
        "modelspec.title": "Sfumato Emoji",
        "modelspec.architecture": "flux",
        "modelspec.license": "Apache-2.0",
        "modelspec.description": "A tiny Flux, trained from scratch on openly licensed emoji",
        "modelspec.resolution": "64x64",
        "sfumato.latent_scale": repr(data_set.scale),
        "sfumato.latent_shift": repr(data_set.shift),
        "sfumato.latent_rgb": json.dumps(projection),
        "sfumato.training_steps": str(step),
        "sfumato.evaluation": json.dumps(evaluation),
        "sfumato.training_art": "Fluent Emoji (MIT), Noto Emoji (Apache-2.0); names: emojibase (MIT)",
    }


@torch.no_grad()
def latent_rgb(data_set: LatentSet, folder: Path, count: int = 1500) -> dict[str, list]:
    """The linear map from scaled latents to RGB in -1..1 (a pixel per latent), by least squares."""
    pictures = data.load(folder)
    autoencoder = latents.load_autoencoder(folder)
    rows = torch.randperm(len(pictures.rgba), generator=torch.Generator().manual_seed(0))[:count]
    images = pictures.over(rows, torch.rand(count, 3, generator=torch.Generator().manual_seed(1)))
    encoded = torch.cat([autoencoder.encode(part) for part in images.split(64)])
    inputs = ((encoded - data_set.shift) * data_set.scale).permute(0, 2, 3, 1).flatten(0, 2)
    colours = F.avg_pool2d(images, 8).permute(0, 2, 3, 1).flatten(0, 2)
    solution = torch.linalg.lstsq(F.pad(inputs, (0, 1), value=1.0), colours).solution
    rounded = [[round(value, 5) for value in row] for row in solution.tolist()]
    return {"factors": rounded[:-1], "bias": rounded[-1]}


def export(folder: Path, target: Path) -> Path:
    """Write the files of the package from the last checkpoint in ``folder``; the path of the weights."""
    target.mkdir(parents=True, exist_ok=True)
    data_set = latents.load(folder)
    artist = load_artist(folder)
    step = torch.load(folder / "flux_state.pt", weights_only=True)["step"]
    measured = folder / "evaluation.json"
    evaluation = json.loads(measured.read_text(encoding="utf-8")) if measured.exists() else {}
    path = target / FILE
    texts = metadata(data_set, latent_rgb(data_set, folder), step, evaluation)
    save_file(tensors(artist.model, artist.autoencoder), path, texts)
    path.chmod(0o644)  # the writer leaves it private
    for name in (tokenizers.CLIP_FILE, tokenizers.T5_FILE):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / name, target / name)
    return path


def load_exported(target: Path) -> Artist:
    """The shipped files, ready to draw: what a test or an evaluation of the package uses."""
    stored = load_file(target / FILE)
    with safe_open(target / FILE, "pt") as opened:
        texts = opened.metadata()
    prompts = Prompts(*tokenizers.load(target))
    model, autoencoder = prompts.make_model(), Autoencoder(CONFIG)
    parts = [
        *((getattr(model, name), prefix) for name, prefix in PREFIXES.items()),
        (autoencoder, VAE_PREFIX),
    ]
    for part, prefix in parts:
        own = {
            name.removeprefix(prefix): weights for name, weights in stored.items() if name.startswith(prefix)
        }
        part.load_state_dict(own)
    model.eval().requires_grad_(False)
    scale, shift = (float(texts[f"sfumato.latent_{name}"]) for name in ("scale", "shift"))
    return Artist(model, autoencoder.eval().requires_grad_(False), prompts, scale, shift)
