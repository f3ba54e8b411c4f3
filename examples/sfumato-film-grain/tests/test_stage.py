"""The stage keeps the contract, and does what only this one promises."""

from __future__ import annotations

import torch

from sfumato.request import GenerationRequest
from sfumato.stages import StageContext
from sfumato.testing import StageContract
from sfumato_film_grain.stage import apply


class TestStage(StageContract):
    name = "film_grain"


def test_grain_is_as_strong_as_asked_for_and_follows_the_seed() -> None:
    grey = torch.full((64, 64, 3), 128, dtype=torch.uint8)
    first, second = (
        apply(grey, StageContext(GenerationRequest(), {"amount": 0.1}, (seed,))) for seed in (1, 2)
    )
    assert abs(float(first.float().std()) - 25.5) < 2
    assert not first.equal(second)
