"""Trains the text-to-image model by rectified flow (Liu et al. 2022; Esser et al. 2024) on latents."""

from __future__ import annotations

import copy
import logging
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from sfumato_models_flux.transformer import pack

from . import latents as pictures_encoded
from . import tokenizers
from .captions import training_caption
from .checkpoint import load_checkpoint, save_checkpoint
from .concepts import weight
from .latents import BOTH, ON_COLOUR, PLAIN, RECOLOURED, LatentSet
from .networks import EmojiModel, Prompts
from .optimisers import update_average
from .parallel import Workers
from .schedule import Clock, describe_rate, learning_rate_factor
from .sheet import Artist

log = logging.getLogger(__name__)

KIND_SHARES = {PLAIN: 0.58, ON_COLOUR: 0.13, RECOLOURED: 0.17, BOTH: 0.12}
DEFAULT_STYLE_SHARE = 0.78
EMA_DECAY = 0.998


@dataclass(frozen=True)
class Options:
    """How long and how fast. ``batch`` is per worker; ``until`` (HH:MM today) goes before ``minutes``."""

    folder: Path
    minutes: float = 120.0
    until: str | None = None
    batch: int = 64
    learning_rate: float = 1.5e-3
    average_every: int = 10
    save_every: float = 120.0
    sheet_every: float = 600.0
    flat: float = 0.4


class Picker:
    """Draws training examples: a concept by its weight, then a style, a kind of picture, and a caption."""

    def __init__(self, data: LatentSet, seed: int) -> None:
        self.rng = random.Random(seed)
        self.subjects = [variant.subject for variant in data.variants]
        rows: dict[str, dict[str, dict[str, list[int]]]] = defaultdict(
            lambda: defaultdict(lambda: defaultdict(list))
        )
        for row, variant in enumerate(data.variants):
            rows[variant.label][variant.subject.style][variant.kind].append(row)
        self.rows = rows
        self.labels = list(rows)
        self.weights = [weight(label) for label in self.labels]

    def row(self, label: str) -> int:
        """One variant of a concept."""
        styles = self.rows[label]
        default = next(iter(styles)) if len(styles) == 1 else pictures_encoded.STYLES[0]
        other = [style for style in styles if style != default]
        kinds = styles[
            self.rng.choice(other) if other and self.rng.random() > DEFAULT_STYLE_SHARE else default
        ]
        kind = self.rng.choices(list(KIND_SHARES), list(KIND_SHARES.values()))[0]
        return self.rng.choice(kinds.get(kind) or kinds[PLAIN])

    def draw(self, count: int) -> tuple[list[int], list[str]]:
        """Row numbers and captions of one batch."""
        rows = [self.row(label) for label in self.rng.choices(self.labels, self.weights, k=count)]
        return rows, [training_caption(self.subjects[row], self.rng) for row in rows]


def draw_times(count: int) -> Tensor:
    """Logit-normal times in 0..1, one from each of ``count`` equal slices so that batches are alike."""
    slices = (torch.arange(count) + torch.rand(count)) / count
    return torch.special.ndtri(slices.clamp(1e-5, 1 - 1e-5)).sigmoid()


def flow_loss(model: EmojiModel, clean: Tensor, texts: Sequence[str], prompts: Prompts) -> Tensor:
    """Mean squared error of the velocity at packed latents ``[b, 16, 64]``."""
    t = draw_times(len(clean))
    noise = torch.randn_like(clean)
    noisy = torch.lerp(clean, noise, t[:, None, None])
    with torch.autocast("cpu", torch.bfloat16):
        velocity = model.velocity(noisy, t, *model.encode(*prompts(texts)))
    return F.mse_loss(velocity.float(), noise - clean)


@dataclass
class Run:
    """What one worker trains with."""

    model: EmojiModel
    average: EmojiModel
    optimiser: torch.optim.Optimizer
    prompts: Prompts
    data: LatentSet
    step: int = 0


def start(options: Options) -> tuple[Run, Clock]:
    """Build everything, or continue from ``flux_state.pt`` in the folder."""
    data = pictures_encoded.load(options.folder)
    prompts = Prompts(*tokenizers.load(options.folder))
    torch.manual_seed(0)
    model = prompts.make_model()
    average = copy.deepcopy(model).requires_grad_(False)
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=options.learning_rate, betas=(0.9, 0.98), weight_decay=0.0, fused=True
    )
    run = Run(model, average, optimiser, prompts, data)
    run.step, spent = load_checkpoint(options.folder / "flux_state.pt", model, average, [optimiser])
    clock = Clock.until(options.until, spent) if options.until else Clock(options.minutes * 60, spent)
    return run, clock


def save(run: Run, clock: Clock, options: Options) -> None:
    """Write the state from which a later run continues."""
    path = options.folder / "flux_state.pt"
    save_checkpoint(path, run.model, run.average, [run.optimiser], run.step, clock.elapsed)


def write_sheet(run: Run, options: Options) -> None:
    """A sample sheet of the running average, named after the step."""
    autoencoder = pictures_encoded.load_autoencoder(options.folder)
    artist = Artist(run.average, autoencoder, run.prompts, run.data.scale, run.data.shift)
    with torch.autocast("cpu", torch.bfloat16):
        artist.write_sheet(options.folder / "sheets" / f"step{run.step:07d}.png")


def load_artist(folder: Path) -> Artist:
    """The running average of the last checkpoint, ready to draw."""
    data, prompts = pictures_encoded.load(folder), Prompts(*tokenizers.load(folder))
    model = prompts.make_model()
    model.load_state_dict(torch.load(folder / "flux_state.pt", weights_only=True)["average"])
    model.eval().requires_grad_(False)
    return Artist(model, pictures_encoded.load_autoencoder(folder), prompts, data.scale, data.shift)


def take_step(run: Run, clean: Tensor, texts: Sequence[str], learning_rate: float) -> float:
    """One optimiser step; the loss."""
    for group in run.optimiser.param_groups:
        group["lr"] = learning_rate
    loss = flow_loss(run.model, clean, texts, run.prompts)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(run.model.parameters(), 1.0)
    run.optimiser.step()
    run.optimiser.zero_grad(set_to_none=True)
    run.step += 1
    return loss.item()


def train(workers: Workers, options: Options) -> None:
    """Train for the time budget. Workers step alone and average their weights every few steps."""
    run, clock = start(options)
    torch.manual_seed(1000 * run.step + 10 + workers.rank)
    picker = Picker(run.data, 1000 * run.step + workers.rank)
    clean = pack(run.data.latents.float())
    saved = drawn = clock.elapsed
    fraction, recent = workers.agree(clock.fraction), 0.0
    while fraction < 1:
        rate = options.learning_rate * learning_rate_factor(run.step, clock.fraction, flat=options.flat)
        rows, texts = picker.draw(options.batch)
        loss = take_step(run, clean[rows], texts, rate)
        recent = loss if recent == 0 else 0.99 * recent + 0.01 * loss
        if run.step % options.average_every == 0:
            workers.average(p.data for p in run.model.parameters())
            fraction = workers.agree(clock.fraction)
        if not workers.first:
            continue
        update_average(run.average, run.model, run.step, EMA_DECAY)
        if clock.elapsed - saved > options.save_every:
            saved = clock.elapsed
            save(run, clock, options)
            samples = run.step * options.batch * workers.count
            log.info("flux: %s, loss %.4f", describe_rate(samples, clock.elapsed, clock.total), recent)
        if clock.elapsed - drawn > options.sheet_every:
            drawn = clock.elapsed
            write_sheet(run, options)
    if workers.first:
        save(run, clock, options)
        write_sheet(run, options)
        log.info("flux: finished after %d steps, loss %.4f", run.step, recent)
