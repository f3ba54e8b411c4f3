"""Which emoji the model learns, what people call them, and how often each is shown.

A small model learns few things well. Left out: people and professions, signs, arrows, flags, clock faces,
buttons, most hands, and drawings that differ from a kept one by a detail. Lists: ``vocabulary.toml``.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from .data import Concept

KEPT_SUBGROUPS = frozenset(
    [*range(15), *range(34, 49), 50, 51, *range(53, 57), *range(58, 66), *range(67, 83)]
)
"""emojibase numbers: faces, hearts, animals, plants, food, places, travel, weather, activities, objects."""
ANIMALS = frozenset([12, 13, *range(34, 40)])
FRUIT = frozenset([42])
PEOPLE_GROUP = 1
COMMON_WEIGHT = 2.5


@dataclass(frozen=True)
class Vocabulary:
    """The contents of ``vocabulary.toml``."""

    extra: frozenset[str]
    dropped: frozenset[str]
    common: frozenset[str]
    everyday: dict[str, tuple[str, ...]]


def split(text: str) -> tuple[str, ...]:
    """The entries of a list separated by semicolons; line ends count as spaces."""
    return tuple(entry.strip() for entry in text.replace("\n", " ").split(";"))


@cache
def vocabulary() -> Vocabulary:
    """Read once."""
    content = tomllib.loads(Path(__file__).with_name("vocabulary.toml").read_text(encoding="utf-8"))
    extra, dropped, common = (frozenset(split(content[name])) for name in ("extra", "dropped", "common"))
    return Vocabulary(
        extra, dropped, common, {label: split(text) for label, text in content["everyday"].items()}
    )


def kept(concept: Concept) -> bool:
    """Whether the text-to-image model learns this emoji."""
    if concept.label in vocabulary().extra:
        return True
    usual = concept.subgroup in KEPT_SUBGROUPS and concept.group != PEOPLE_GROUP
    return usual and concept.label not in vocabulary().dropped


def plain(label: str) -> str:
    """A label without punctuation: what a caption says."""
    return re.sub(r"\s+", " ", re.sub(r"[:\-.]", " ", label)).strip()


def names(concept: Concept) -> tuple[str, ...]:
    """What people call this emoji, the usual name first."""
    return vocabulary().everyday.get(concept.label, (plain(concept.label),))


def weight(label: str) -> float:
    """How often it is shown, relative to an ordinary concept."""
    return COMMON_WEIGHT if label in vocabulary().common else 1.0
