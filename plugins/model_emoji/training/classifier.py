"""A small convolutional network that names emoji: the independent judge of what the model draws."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import concepts as vocabulary
from .checkpoint import save_atomically
from .data import STYLES, Pictures, composite
from .schedule import learning_rate_factor

log = logging.getLogger(__name__)

WIDTH = 48
LEARNING_RATE = 2e-3
BATCH = 96
STEPS = 900


def layer(in_channels: int, out_channels: int, stride: int) -> nn.Sequential:
    """Convolution, batch normalisation, ReLU."""
    convolution = nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(out_channels), nn.ReLU())


class Classifier(nn.Module):
    """Images ``[b, 3, 64, 64]`` in -1..1 -> scores ``[b, classes]``."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        w = WIDTH
        self.body = nn.Sequential(
            layer(3, w, 1), layer(w, 2 * w, 2), layer(2 * w, 2 * w, 1), layer(2 * w, 4 * w, 2),
            layer(4 * w, 4 * w, 1), layer(4 * w, 6 * w, 2), nn.Flatten(), nn.Dropout(0.3),
        )  # fmt: skip
        self.head = nn.Linear(6 * w * 16, classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.body(F.avg_pool2d(images, 2)))


def augment(rgba: Tensor) -> Tensor:
    """Shifts, blur, noise, other colours and backgrounds, so that it judges shapes, not pixels."""
    count = len(rgba)
    white = torch.rand(count, 1) < 0.7
    images = composite(rgba, torch.where(white, torch.ones(count, 3), torch.rand(count, 3)))
    swapped = torch.rand(count) < 0.3
    images[swapped] = images[swapped][:, torch.randperm(3)]
    grey = torch.rand(count) < 0.15
    images[grey] = images[grey].mean(1, keepdim=True).expand(-1, 3, -1, -1)
    blurred = torch.rand(count) < 0.4
    images[blurred] = F.avg_pool2d(F.pad(images[blurred], (1, 1, 1, 1), mode="replicate"), 3, 1)
    dx, dy = torch.randint(-4, 5, (2,)).tolist()
    images = torch.roll(images, (dy, dx), (2, 3))
    images = images * (0.85 + 0.3 * torch.rand(count, 1, 1, 1)) + 0.1 * torch.randn(count, 3, 1, 1)
    return images + 0.3 * torch.rand(count, 1, 1, 1) * torch.randn_like(images)


@dataclass(frozen=True)
class Judge:
    """A trained classifier and the labels of its classes."""

    model: Classifier
    labels: tuple[str, ...]

    @torch.no_grad()
    def ranks(self, images: Tensor, labels: list[str]) -> Tensor:
        """The place of the right label for each image, 0 the best."""
        scores = torch.cat([self.model(part) for part in images.split(128)])
        right = torch.tensor([self.labels.index(label) for label in labels])
        return (scores > scores.gather(1, right[:, None])).sum(1)


def train(pictures: Pictures, held_out_style: int) -> Judge:
    """Train on all drawings of the kept concepts, one style left out: a few minutes of one thread."""
    kept = {
        i: n
        for n, i in enumerate(i for i, concept in enumerate(pictures.concepts) if vocabulary.kept(concept))
    }
    rows = [
        row
        for row, (concept, style) in enumerate(
            zip(pictures.concept.tolist(), pictures.style.tolist(), strict=True)
        )
        if concept in kept and style != held_out_style
    ]
    classes = torch.tensor([kept[int(pictures.concept[row])] for row in rows])
    rgba = pictures.rgba[rows]
    torch.manual_seed(0)
    model = Classifier(len(kept))
    optimiser = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.05)
    for step in range(STEPS):
        optimiser.param_groups[0]["lr"] = LEARNING_RATE * learning_rate_factor(step, step / STEPS, flat=0.2)
        picked = torch.randint(len(rows), (BATCH,))
        with torch.autocast("cpu", torch.bfloat16):
            scores = model(augment(rgba[picked])).float()
        loss = F.cross_entropy(scores, classes[picked], label_smoothing=0.1)
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        if step % 100 == 99:
            log.info("classifier: step %d of %d, loss %.3f", step + 1, STEPS, loss.item())
    return Judge(model.eval(), tuple(pictures.concepts[i].label for i in kept))


def prepare(folder: Path, pictures: Pictures) -> Judge:
    """Train the judge into ``folder`` (once), or load it. Noto v1 is left out, to see how far it carries."""
    path = folder / "classifier.pt"
    if not path.exists():
        judge = train(pictures, held_out_style=STYLES.index("blob"))
        save_atomically({"model": judge.model.state_dict(), "labels": list(judge.labels)}, path)
    content = torch.load(path, weights_only=True)
    model = Classifier(len(content["labels"]))
    model.load_state_dict(content["model"])
    return Judge(model.eval(), tuple(content["labels"]))
