"""Every training picture as a latent, encoded once: drawings, other colours, coloured backgrounds."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sfumato_networks.autoencoder import Autoencoder

from . import concepts as vocabulary
from . import train_autoencoder
from .captions import Subject
from .checkpoint import save_atomically
from .colours import BACKGROUNDS, COLOURS, HUES, colour_name, recolour, ruling_hue
from .data import STYLES as DRAWN_STYLES
from .data import Concept, Pictures, composite

log = logging.getLogger(__name__)

STYLES = ("flat", "noto")
WHITE = (1.0, 1.0, 1.0)
PLAIN, ON_COLOUR, RECOLOURED, BOTH = "plain", "background", "colour", "both"
UNTINTED = frozenset(
    [
        "rainbow",
        "globe showing americas",
        "artist palette",
        "fireworks",
        "dna",
        "world map",
        "cityscape",
        "check mark",
    ]
)
"""Pictures whose colours are what they are."""


@dataclass(frozen=True)
class Variant:
    """One training picture: the concept's label, how it is drawn, and what its captions may say."""

    label: str
    kind: str
    subject: Subject


@dataclass(frozen=True)
class LatentSet:
    """Latents ``[n, 16, 8, 8]`` (float16), scaled as ``(z - shift) * scale``, with their variants."""

    latents: Tensor
    variants: tuple[Variant, ...]
    scale: float
    shift: float


def held_out_pair(concept: Concept, colour: str | None) -> bool:
    """Colour-object pairs never shown, so that composition can be measured: purple fruit, blue animals."""
    if colour == "purple":
        return concept.subgroup in vocabulary.FRUIT
    return colour == "blue" and concept.subgroup in vocabulary.ANIMALS


def variants_of(
    concept: Concept, rgba: np.ndarray, style: str, rng: random.Random
) -> Iterator[tuple[Variant, np.ndarray, str | None]]:
    """Variants of one drawing with their pixels and background; the default style gets all colours."""
    hue = ruling_hue(rgba)
    native = colour_name(rgba, hue) if hue is not None else None
    names = vocabulary.names(concept)
    default = style == STYLES[0]

    def variant(
        kind: str, colour: str | None, background: str | None
    ) -> tuple[Variant, np.ndarray, str | None]:
        pixels = rgba if colour is None else recolour(rgba, colour, hue)
        return (
            Variant(concept.label, kind, Subject(names, style, native, colour, background)),
            pixels,
            background,
        )

    yield variant(PLAIN, None, None)
    for background in rng.sample(list(BACKGROUNDS), len(BACKGROUNDS) if default else 3):
        if background != native:
            yield variant(ON_COLOUR, None, background)
    if concept.label in UNTINTED:
        return
    words = COLOURS if hue is not None else tuple(HUES)
    words = tuple(word for word in words if word != native and not held_out_pair(concept, word))
    for colour in words if default else rng.sample(words, 3):
        yield variant(RECOLOURED, colour, None)
    for colour in rng.sample(words, min(8, len(words)) if default else 1):
        yield variant(BOTH, colour, rng.choice([word for word in BACKGROUNDS if word != colour]))


def all_variants(pictures: Pictures) -> Iterator[tuple[Variant, np.ndarray, str | None]]:
    """Variants of all kept concepts in the trained styles, from a fixed seed."""
    rng = random.Random(0)
    for row, (number, style) in enumerate(
        zip(pictures.concept.tolist(), pictures.style.tolist(), strict=True)
    ):
        concept = pictures.concepts[number]
        if DRAWN_STYLES[style] in STYLES and vocabulary.kept(concept):
            yield from variants_of(concept, pictures.rgba[row].numpy(), DRAWN_STYLES[style], rng)


def load_autoencoder(folder: Path) -> Autoencoder:
    """The trained autoencoder (its running average)."""
    model = Autoencoder(train_autoencoder.CONFIG)
    model.load_state_dict(torch.load(folder / "autoencoder_state.pt", weights_only=True)["average"])
    return model.eval().requires_grad_(False)


@torch.no_grad()
def encode_all(model: Autoencoder, pictures: Pictures, batch: int = 64) -> tuple[Tensor, tuple[Variant, ...]]:
    """Unscaled float16 latents of all variants."""
    encoded, variants = [], []
    pending: list[tuple[np.ndarray, tuple[float, float, float]]] = []

    def flush() -> None:
        rgba = torch.from_numpy(np.stack([pixels for pixels, _ in pending]))
        images = composite(rgba, torch.tensor([colour for _, colour in pending]))
        with torch.autocast("cpu", torch.bfloat16):
            encoded.append(model.encode(images).half())
        pending.clear()

    for variant, pixels, background in all_variants(pictures):
        variants.append(variant)
        pending.append((pixels, BACKGROUNDS[background] if background else WHITE))
        if len(pending) == batch:
            flush()
    if pending:
        flush()
    return torch.cat(encoded), tuple(variants)


def prepare(folder: Path, pictures: Pictures) -> LatentSet:
    """Encode everything into ``folder`` (once), or load it."""
    path = folder / "latents.pt"
    if not path.exists():
        raw, variants = encode_all(load_autoencoder(folder), pictures)
        values = raw.float()
        scale, shift = float(1 / values.std()), float(values.mean())
        log.info("%d latents, scale %.4f, shift %.4f", len(raw), scale, shift)
        rows = [asdict(variant) for variant in variants]
        save_atomically(
            {"z": ((values - shift) * scale).half(), "rows": rows, "scale": scale, "shift": shift}, path
        )
    return load(folder)


def load(folder: Path) -> LatentSet:
    """Read what :func:`prepare` stored."""
    content = torch.load(folder / "latents.pt", weights_only=True)
    variants = tuple(
        Variant(
            row["label"], row["kind"], Subject(**{**row["subject"], "names": tuple(row["subject"]["names"])})
        )
        for row in content["rows"]
    )
    return LatentSet(content["z"], variants, content["scale"], content["shift"])


def subjects(pictures: Pictures) -> list[Subject]:
    """One subject for every kept concept, in order: what the tokenizers learn their words from."""
    return [Subject(vocabulary.names(concept)) for concept in pictures.concepts if vocabulary.kept(concept)]
