"""Trains the autoencoder of the emoji model: 64-pixel pictures to 16 x 8 x 8 latents and back."""

from __future__ import annotations

import copy
import logging
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from sfumato_networks.autoencoder import Autoencoder, AutoencoderConfig

from . import data
from .checkpoint import load_checkpoint, save_checkpoint
from .optimisers import Muon, update_average
from .parallel import Workers
from .schedule import Clock, describe_rate, learning_rate_factor

log = logging.getLogger(__name__)

CONFIG = AutoencoderConfig(
    base_channels=16, channel_multipliers=(1, 2, 4, 8), blocks_per_level=1, norm_groups=8, mid_attention=False
)
HELD_OUT = 200
KL_WEIGHT = 1e-3
EMA_DECAY = 0.995


@dataclass(frozen=True)
class Options:
    """How long and how fast. ``batch`` is per worker."""

    folder: Path
    minutes: float = 12.0
    batch: int = 24
    learning_rate: float = 3e-3
    save_every: float = 90.0


def held_out(count: int) -> tuple[Tensor, Tensor]:
    """Row numbers of the held-out and of the training pictures; the same in every run."""
    order = torch.randperm(count, generator=torch.Generator().manual_seed(0))
    return order[:HELD_OUT], order[HELD_OUT:]


def augment(rgba: Tensor) -> Tensor:
    """Random backgrounds, mirror images, small shifts and swapped colour channels."""
    count = len(rgba)
    white = torch.rand(count, 1) < 0.6
    images = data.composite(rgba, torch.where(white, torch.ones(count, 3), torch.rand(count, 3)))
    if torch.rand(()) < 0.5:
        images = images.flip(3)
    swapped = torch.rand(count) < 0.25
    images[swapped] = images[swapped][:, torch.randperm(3)]
    dx, dy = torch.randint(-4, 5, (2,)).tolist()
    return torch.roll(images, (dy, dx), (2, 3))


def differences(images: Tensor) -> tuple[Tensor, Tensor]:
    """Vertical and horizontal steps between neighbouring pixels."""
    return images[..., 1:, :] - images[..., :-1, :], images[..., :, 1:] - images[..., :, :-1]


def reconstruction_loss(decoded: Tensor, images: Tensor) -> Tensor:
    """L1 of pixels, of edges, and of two coarser scales."""
    edges = sum(F.l1_loss(a, b) for a, b in zip(differences(decoded), differences(images), strict=True))
    coarse = sum(F.l1_loss(F.avg_pool2d(decoded, k), F.avg_pool2d(images, k)) for k in (2, 4))
    return F.l1_loss(decoded, images) + 0.5 * edges + 0.5 * coarse


def loss(model: Autoencoder, images: Tensor) -> Tensor:
    """Reconstruction from sampled latents, plus a light pull of the latents towards the unit normal."""
    with torch.autocast("cpu", torch.bfloat16):
        mean, log_variance = model.moments(images)
        mean, log_variance = mean.float(), log_variance.float()
        latents = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
        decoded = model.decode(latents).float()
    divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()
    return reconstruction_loss(decoded, images) + KL_WEIGHT * divergence


@torch.no_grad()
def psnr(model: Autoencoder, images: Tensor) -> float:
    """Mean peak signal-to-noise ratio of the reconstructions, in dB."""
    with torch.autocast("cpu", torch.bfloat16):
        decoded = torch.cat([model.decode(model.encode(part)).float() for part in images.split(64)])
    error = ((decoded.clamp(-1, 1) - images) / 2).square().mean((1, 2, 3))
    return -10 * error.clamp_min(1e-6).log10().mean().item()


def make_optimisers(model: Autoencoder, learning_rate: float) -> list[torch.optim.Optimizer]:
    """Muon for the inner convolutions, AdamW for everything else."""
    inner = {
        n for n, p in model.named_parameters() if p.ndim == 4 and "conv_in" not in n and "conv_out" not in n
    }
    kernels = [p for n, p in model.named_parameters() if n in inner]
    others = [p for n, p in model.named_parameters() if n not in inner]
    return [
        Muon(kernels, lr=learning_rate),
        torch.optim.AdamW(others, lr=learning_rate, betas=(0.9, 0.98), weight_decay=0.0),
    ]


def train(workers: Workers, options: Options) -> None:
    """Train for the time budget; continues from ``autoencoder_state.pt`` in the folder."""
    pictures = data.load(options.folder)
    checking, training = held_out(len(pictures.rgba))
    torch.manual_seed(0)
    model = Autoencoder(CONFIG)
    average = copy.deepcopy(model)
    optimisers = make_optimisers(model, options.learning_rate)
    path = options.folder / "autoencoder_state.pt"
    step, spent = load_checkpoint(path, model, average, optimisers)
    clock = Clock(options.minutes * 60, spent)
    torch.manual_seed(100 + 1000 * step + workers.rank)
    checked = pictures.over(checking, torch.ones(HELD_OUT, 3))
    saved = clock.elapsed
    while (fraction := workers.agree(clock.fraction)) < 1:
        rate = options.learning_rate * learning_rate_factor(step, fraction, flat=0.4)
        for group in (group for optimiser in optimisers for group in optimiser.param_groups):
            group["lr"] = rate
        rows = training[torch.randint(len(training), (options.batch,))]
        loss(model, augment(pictures.rgba[rows])).backward()
        workers.average_gradients(model.parameters())
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimiser in optimisers:
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        step += 1
        if workers.first:
            update_average(average, model, step, EMA_DECAY)
            if clock.elapsed - saved > options.save_every:
                saved = clock.elapsed
                save_checkpoint(path, model, average, optimisers, step, clock.elapsed)
                progress = describe_rate(step * options.batch * workers.count, clock.elapsed, clock.total)
                log.info("autoencoder: %s, held-out %.2f dB", progress, psnr(average, checked[:64]))
    if workers.first:
        save_checkpoint(path, model, average, optimisers, step, clock.elapsed)
        log.info("autoencoder: %d steps, held-out %.2f dB", step, psnr(average, checked))
