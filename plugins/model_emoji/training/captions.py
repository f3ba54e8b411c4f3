"""The many ways to ask for one picture: a bare noun, a sentence, with a colour, a background, a style."""

from __future__ import annotations

import random
from dataclasses import dataclass

from .colours import COLOURS

STYLE_WORDS = {"flat": ("flat", "fluent", "fluent flat"), "noto": ("noto",)}
DEFAULT_STYLE = "flat"
"""Captions without a style word always show this one: the model has one sharp default."""
COLOUR_WORDS = frozenset([*COLOURS, "brown", "grey"])
EMPTY_SHARE = 0.1
"""Captions left empty in training: the unconditional half of classifier-free guidance."""


@dataclass(frozen=True)
class Subject:
    """What one training picture shows.

    ``native`` is the colour the drawing has by itself (None when no one colour rules it), ``colour`` the
    colour it was given, ``background`` the colour behind it (None: white).
    """

    names: tuple[str, ...]
    style: str = DEFAULT_STYLE
    native: str | None = None
    colour: str | None = None
    background: str | None = None


def article(phrase: str) -> str:
    """'a' or 'an'."""
    return "an" if phrase[0] in "aeiou" else "a"


def noun(subject: Subject, rng: random.Random) -> str:
    """A name of the subject, with its colour where it was given one, sometimes where it has one anyway."""
    first = len(subject.names) == 1 or rng.random() < 0.7
    name = subject.names[0] if first else rng.choice(subject.names[1:])
    colour = subject.colour
    words = name.split()
    if colour is None and subject.native and rng.random() < 0.3 and not COLOUR_WORDS & set(words):
        colour = subject.native
    if colour is None:
        return name
    return " ".join([colour, *(word for word in words if word not in COLOUR_WORDS)])


def style_word(subject: Subject, rng: random.Random) -> str | None:
    """A style to name: always for the other styles, now and then for the default."""
    if subject.style == DEFAULT_STYLE and rng.random() < 0.75:
        return None
    return rng.choice(STYLE_WORDS[subject.style])


def background_phrase(colour: str | None, rng: random.Random) -> str:
    """' on a pink background' in several wordings; white is rarely worth a word."""
    if colour is None:
        return " on a white background" if rng.random() < 0.04 else ""
    forms = (
        f" on a {colour} background",
        f" on {colour}",
        f", {colour} background",
        f" with a {colour} background",
    )
    return rng.choices(forms, (5, 1, 2, 2))[0]


def caption(subject: Subject, rng: random.Random) -> str:
    """One caption, drawn at random."""
    phrase = noun(subject, rng)
    style = style_word(subject, rng)
    background = background_phrase(subject.background, rng)
    forms: tuple[str, ...]
    if style:
        forms = (
            f"{style} emoji of {article(phrase)} {phrase}{background}",
            f"{style} emoji of {phrase}{background}",
            f"{style} {phrase}{background}",
            f"{article(phrase)} {phrase}{background}, {style} style",
            f"{style} style {phrase}{background}",
        )
        text = rng.choices(forms, (4, 1, 1, 2, 1))[0]
    else:
        forms = (
            f"{phrase}{background}",
            f"{article(phrase)} {phrase}{background}",
            f"the {phrase}{background}",
            f"{article(phrase)} cute {phrase}{background}",
            f"an emoji of {article(phrase)} {phrase}{background}",
            f"{phrase} emoji{background}",
            f"a picture of {article(phrase)} {phrase}{background}",
            f"a drawing of {article(phrase)} {phrase}{background}",
        )
        text = rng.choices(forms, (30, 40, 3, 3, 9, 6, 6, 3))[0]
    return text + "." if rng.random() < 0.03 else text


def training_caption(subject: Subject, rng: random.Random) -> str:
    """A caption, or now and then none."""
    return "" if rng.random() < EMPTY_SHARE else caption(subject, rng)
