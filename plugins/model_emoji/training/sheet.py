"""Sample sheets: many prompts in one picture, each with its text below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from sfumato_networks.autoencoder import Autoencoder

from .networks import EmojiModel, Prompts, sample

SHEET_PROMPTS = (
    "an apple",
    "a pizza",
    "noto emoji of a dog face",
    "flat emoji of a cat face",
    "a rocket",
    "a guitar",
    "a red heart",
    "a rainbow",
    "a sunflower",
    "grinning face with big eyes",
    "a crying face",
    "an octopus",
    "a car",
    "a house",
    "a snowman",
    "a penguin",
    "flat emoji of a hamburger",
    "noto emoji of a strawberry",
    "a crown",
    "an umbrella",
    "a tree",
    "a fish",
    "thumbs up",
    "a book",
    "a blue apple",
    "a red cat face",
    "a green smiling face",
    "a purple banana",
    "a dog face on a blue background",
    "a pink rocket",
    "a black rose",
    "a yellow whale on a pink background",
)
TILE, GAP, TEXT_HEIGHT, LINE = 128, 8, 36, 22


def wrap(text: str, width: int = LINE) -> tuple[str, str]:
    """At most two lines."""
    words = text.split()
    first: list[str] = []
    while words and len(" ".join([*first, words[0]])) <= width:
        first.append(words.pop(0))
    return " ".join(first), " ".join(words)


def to_pictures(images: Tensor) -> list[Image.Image]:
    """Images ``[b, 3, h, w]`` in -1..1 as PIL pictures."""
    pixels = ((images.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1)
    return [Image.fromarray(array) for array in pixels.numpy()]


def arrange(pictures: Sequence[Image.Image], texts: Sequence[str], columns: int = 8) -> Image.Image:
    """The pictures in rows with their prompts."""
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (columns * (TILE + GAP), rows * (TILE + TEXT_HEIGHT + GAP)), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for i, (picture, text) in enumerate(zip(pictures, texts, strict=True)):
        x, y = i % columns * (TILE + GAP) + GAP // 2, i // columns * (TILE + TEXT_HEIGHT + GAP) + GAP // 2
        sheet.paste(picture.resize((TILE, TILE), Image.Resampling.BICUBIC), (x, y))
        for line, words in enumerate(wrap(text)):
            pen.text((x, y + TILE + 1 + 15 * line), words, "black", font)
    return sheet


@dataclass(frozen=True)
class Artist:
    """Everything that draws pictures from texts; ``scale`` and ``shift`` are those of the latents."""

    model: EmojiModel
    autoencoder: Autoencoder
    prompts: Prompts
    scale: float
    shift: float

    @torch.no_grad()
    def draw(self, texts: Sequence[str], seed: int = 0, batch: int = 50) -> Tensor:
        """Images ``[b, 3, 64, 64]`` in -1..1 of the texts, all from one seed."""
        parts = []
        for start in range(0, len(texts), batch):
            part = texts[start : start + batch]
            latents = sample(self.model, self.prompts, part, [seed] * len(part))
            parts.append(self.autoencoder.decode(latents / self.scale + self.shift).float().clamp(-1, 1))
        return torch.cat(parts)

    def write_sheet(self, path: Path) -> None:
        """The 32 standard prompts, seed 0, uncurated."""
        path.parent.mkdir(parents=True, exist_ok=True)
        sheet = arrange(to_pictures(self.draw(SHEET_PROMPTS)), SHEET_PROMPTS)
        sheet.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
