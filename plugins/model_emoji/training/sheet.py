"""Sample sheets: many prompts in one picture, each with its text below."""

from __future__ import annotations

from collections.abc import Sequence
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


def draw(pictures: Sequence[Image.Image], texts: Sequence[str], columns: int = 8) -> Image.Image:
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


@torch.no_grad()
def generate(
    model: EmojiModel,
    autoencoder: Autoencoder,
    prompts: Prompts,
    texts: Sequence[str],
    scaling: tuple[float, float],
    seed: int = 0,
) -> Tensor:
    """Images ``[b, 3, 64, 64]`` in -1..1 of texts, all from one seed; ``scaling``: latent scale and shift."""
    scale, shift = scaling
    latents = sample(model, prompts, texts, [seed] * len(texts))
    return autoencoder.decode(latents / scale + shift).clamp(-1, 1)


def write_sheet(
    path: Path, model: EmojiModel, autoencoder: Autoencoder, prompts: Prompts, scaling: tuple[float, float]
) -> None:
    """The 32 standard prompts, seed 0, uncurated."""
    images = generate(model, autoencoder, prompts, SHEET_PROMPTS, scaling)
    draw(to_pictures(images), SHEET_PROMPTS).save(path)
