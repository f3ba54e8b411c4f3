"""How the pictures of one request are numbered, as A1111 does."""

from __future__ import annotations

from sfumato.request import SEED_LIMIT


def picture_seed(seed: int, index: int, variation_strength: float) -> int:
    """The seed of picture `index`, from 0: ``seed + index``, or `seed` for all if there are variations.

    Past 2**32 - 1 it goes on at 0.
    """
    return (seed if variation_strength else seed + index) % SEED_LIMIT


def picture_variation_seed(variation_seed: int, index: int) -> int:
    """The variation seed of picture `index`, from 0; past 2**32 - 1 it goes on at 0."""
    return (variation_seed + index) % SEED_LIMIT
