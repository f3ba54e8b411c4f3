"""Measures the model: does a picture show what its prompt names, and in the colour it asks for?

An independent classifier, trained on the real drawings, ranks the names of all concepts for each picture.
Its score on the autoencoder's reconstructions of the real drawings is the ceiling.
"""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sfumato_networks.autoencoder import Autoencoder

from . import classifier, data, train_autoencoder
from . import concepts as vocabulary
from .captions import article
from .classifier import Judge
from .colours import HUES, colour_name, ruling_hue
from .data import STYLES, Concept, Pictures
from .latents import held_out_pair
from .sheet import Artist
from .train_flux import load_artist

log = logging.getLogger(__name__)

Figures = dict[str, float]
PLAIN_PROMPTS = 300
COLOUR_PAIRS = 100


def retrieval(judge: Judge, images: Tensor, labels: list[str]) -> Figures:
    """Shares of pictures whose right name is first, and among the first five, of all names."""
    ranks = judge.ranks(images, labels)
    top1, top5 = (ranks < 1).float().mean().item(), (ranks < 5).float().mean().item()
    return {"top1": round(top1, 3), "top5": round(top5, 3), "pictures": len(labels)}


def real_drawings(
    judge: Judge, pictures: Pictures, autoencoder: Autoencoder, style: int
) -> dict[str, Figures]:
    """Scores of the real drawings of one style, and of their reconstructions."""
    known = set(judge.labels)
    rows = [
        row
        for row in torch.nonzero(pictures.style == style).flatten().tolist()
        if pictures.concepts[int(pictures.concept[row])].label in known
    ]
    labels = [pictures.concepts[int(pictures.concept[row])].label for row in rows]
    images = pictures.over(torch.tensor(rows), torch.ones(len(rows), 3))
    with torch.no_grad():
        rebuilt = torch.cat(
            [autoencoder.decode(autoencoder.encode(part)).clamp(-1, 1) for part in images.split(64)]
        )
    return {"real": retrieval(judge, images, labels), "reconstructed": retrieval(judge, rebuilt, labels)}


def shown_colour(image: Tensor) -> str | None:
    """The word for the colour that rules a picture ``[3, h, w]`` in -1..1 on white, if one does."""
    rgb = ((image.permute(1, 2, 0) + 1) * 127.5).round().clamp(0, 255).byte().numpy()
    white = rgb.min(-1) > 225
    alpha = np.where(white, 0, 255).astype(np.uint8)
    rgba = np.concatenate([np.where(white[..., None], 0, rgb), alpha[..., None]], -1)
    hue = ruling_hue(rgba)
    return None if hue is None else colour_name(rgba, hue)


def colour_pairs(concepts: Sequence[Concept], unseen: bool, rng: random.Random) -> list[tuple[Concept, str]]:
    """Colour-object pairs of fruit and animals: those held out from training, or as many trained ones."""
    pairs = [
        (concept, colour)
        for concept in concepts
        for colour in HUES
        if concept.subgroup in vocabulary.FRUIT | vocabulary.ANIMALS
        and held_out_pair(concept, colour) == unseen
    ]
    return rng.sample(pairs, min(COLOUR_PAIRS, len(pairs)))


def composition(artist: Artist, judge: Judge, pairs: Sequence[tuple[Concept, str]]) -> Figures:
    """How often the object is right (top 5), the colour is right, and both are."""
    names = [f"{colour} {vocabulary.names(concept)[0]}" for concept, colour in pairs]
    images = artist.draw([f"{article(name)} {name}" for name in names])
    objects = judge.ranks(images, [concept.label for concept, _ in pairs]) < 5
    colours = torch.tensor(
        [shown_colour(image) == colour for image, (_, colour) in zip(images, pairs, strict=True)]
    )
    shares = {"object": objects, "colour": colours, "both": objects & colours}
    return {name: round(hits.float().mean().item(), 3) for name, hits in shares.items()} | {
        "pictures": len(pairs)
    }


def drawn_from_prompts(
    artist: Artist, judge: Judge, concepts: Sequence[Concept], style: str | None
) -> Figures:
    """Retrieval of pictures drawn for the plain names of the concepts."""
    names = [vocabulary.names(concept)[0] for concept in concepts]
    prefix = f"{style} emoji of " if style else ""
    images = artist.draw([f"{prefix}{article(name)} {name}" for name in names])
    return retrieval(judge, images, [concept.label for concept in concepts])


def evaluate(folder: Path) -> dict[str, object]:
    """Measure everything and write ``evaluation.json`` into the folder."""
    pictures = data.load(folder)
    judge = classifier.prepare(folder, pictures)
    artist = load_artist(folder)
    rng = random.Random(1)
    kept = [concept for concept in pictures.concepts if vocabulary.kept(concept)]
    asked = rng.sample(kept, min(PLAIN_PROMPTS, len(kept)))
    common = [concept for concept in kept if vocabulary.weight(concept.label) > 1]
    figures: dict[str, object] = {"names": len(kept), "chance_top1": round(1 / len(kept), 4)}
    for style in ("flat", "noto", "blob"):
        figures[style] = real_drawings(judge, pictures, artist.autoencoder, STYLES.index(style))
    checked, _ = train_autoencoder.held_out(len(pictures.rgba))
    images = pictures.over(checked, torch.ones(len(checked), 3))
    figures["autoencoder_psnr_held_out"] = round(train_autoencoder.psnr(artist.autoencoder, images), 2)
    figures["drawn"] = drawn_from_prompts(artist, judge, asked, None)
    figures["drawn_common"] = drawn_from_prompts(artist, judge, common, None)
    figures["drawn_noto"] = drawn_from_prompts(artist, judge, asked[:100], "noto")
    figures["colour_trained"] = composition(artist, judge, colour_pairs(kept, False, rng))
    figures["colour_held_out"] = composition(artist, judge, colour_pairs(kept, True, rng))
    (folder / "evaluation.json").write_text(json.dumps(figures, indent=1), encoding="utf-8")
    return figures
