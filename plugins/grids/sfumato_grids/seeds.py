"""Seeds that a grid's request leaves open, drawn once: a grid that goes on later has the same ones."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass

from sfumato.request import RANDOM_SEED, SEED_LIMIT, GenerationRequest, GridRequest


@dataclass(frozen=True)
class SeedSource:
    """Seeds that all follow from one number, each for a purpose.

    Attributes:
        entropy: The number; it is kept in the grid's journal.
    """

    entropy: int

    @classmethod
    def fresh(cls) -> SeedSource:
        return cls(secrets.randbits(64))

    def draw(self, purpose: str) -> int:
        """The seed for that purpose."""
        digest = hashlib.sha256(f"{self.entropy}: {purpose}".encode()).digest()
        return int.from_bytes(digest[:8]) % SEED_LIMIT


def seeded(
    request: GenerationRequest,
    grid: GridRequest,
    seeds: SeedSource,
    number: int,
    *,
    own: bool,
    offset: int = 0,
) -> GenerationRequest:
    """A cell's request with its seeds settled.

    Args:
        number: Of the cell, from 0, in the order asked for.
        own: Whether the cell names a seed that others do not have.
        offset: Added by axes that vary the seed.
    """
    update = {}
    used = ("seed", "variation_seed") if request.variation_strength else ("seed",)
    for name in used:
        seed = getattr(request, name)
        alone = own or grid.seeds == "random"
        if seed == RANDOM_SEED:
            seed = seeds.draw(f"{name} of {number}" if alone else name)
        if name == "seed":
            counted = number * request.image_total if grid.seeds == "next" and not own else 0
            seed = (seed + counted + offset) % SEED_LIMIT
        update[name] = seed
    return request.model_copy(update=update)
