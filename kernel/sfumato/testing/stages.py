"""The contract of stages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from sfumato.registry import Entry
from sfumato.request import GenerationRequest
from sfumato.stages import StageContext, StageInfo
from sfumato.testing.analytic import Mixture, normal
from sfumato.testing.entries import EntryContract, extreme_values

if TYPE_CHECKING:
    from torch import Tensor

SEEDS = (11, 12)
PROMPTS = ("", "a red apple", "(a:1.2) [b|c] AND d BREAK e\n", "\N{RED APPLE} ä", "((((", "word " * 500)
REQUEST = GenerationRequest(
    prompt="a red apple", seed=SEEDS[0], steps=4, width=32, height=24, batch_size=2, cfg_scale=2.0
)


class StageContract(EntryContract):
    """What a registered stage promises: its point decides which of these tests apply."""

    registry: ClassVar[str] = "stages"

    @pytest.fixture
    def at(self, entry: Entry[StageInfo]) -> str:
        return entry.info.at

    @pytest.fixture
    def all_options(self, entry: Entry[StageInfo], given_options: dict[str, Any]) -> list[dict[str, Any]]:
        """The defaults, and every option at its bounds and choices."""
        found = [given_options]
        for option in entry.info.options:
            found += [{**given_options, option.name: value} for value in extreme_values(option)]
        return found

    def test_a_prompt_becomes_a_prompt(
        self, entry: Entry[StageInfo], at: str, all_options: list[dict[str, Any]]
    ) -> None:
        only(at, "prompt")
        for options in all_options:
            for prompt in PROMPTS:
                first, second = (entry.load()(prompt, StageContext(REQUEST, options)) for _ in range(2))
                assert isinstance(first, str)
                assert first == second

    def test_estimates_keep_their_shape_and_type(
        self, entry: Entry[StageInfo], at: str, all_options: list[dict[str, Any]]
    ) -> None:
        only(at, "denoise")
        x = normal((2, 4, 3, 4)).float()
        before = x.clone()
        for options in all_options:
            denoise = entry.load()(Mixture("flow").denoise, StageContext(REQUEST, options, SEEDS))
            for sigma in (1.0, 0.5, 0.01):
                estimate = denoise(x, sigma)
                assert (estimate.shape, estimate.dtype) == (x.shape, x.dtype)
                assert estimate.isfinite().all()
        assert x.equal(before)

    def test_latents_keep_their_shape_and_type(
        self, entry: Entry[StageInfo], at: str, all_options: list[dict[str, Any]]
    ) -> None:
        only(at, "latents")
        x = normal((2, 4, 3, 4)).float()
        before = x.clone()
        for options in all_options:
            found = entry.load()(x, StageContext(REQUEST, options, SEEDS))
            assert (found.shape, found.dtype) == (x.shape, x.dtype)
            assert found.isfinite().all()
        assert x.equal(before)

    def test_a_batch_equals_its_single_pictures(
        self, entry: Entry[StageInfo], at: str, given_options: dict[str, Any]
    ) -> None:
        import torch

        only(at, "denoise", "latents")

        def passed(x: Tensor, seeds: tuple[int, ...]) -> Tensor:
            context = StageContext(REQUEST, given_options, seeds)
            stage = entry.load()
            found: Tensor = (
                stage(Mixture("flow").denoise, context)(x, 0.5) if at == "denoise" else stage(x, context)
            )
            return found

        x = normal((2, 4, 3, 4))
        together = passed(x, SEEDS)
        for i, seed in enumerate(SEEDS):
            torch.testing.assert_close(passed(x[i : i + 1], (seed,)), together[i : i + 1])

    def test_a_picture_stays_a_picture(
        self, entry: Entry[StageInfo], at: str, all_options: list[dict[str, Any]]
    ) -> None:
        import torch

        only(at, "picture")
        for pixels in (a_picture(), torch.zeros_like(a_picture()), torch.full_like(a_picture(), 255)):
            before = pixels.clone()
            for options in all_options:
                found = entry.load()(pixels, StageContext(REQUEST, options, SEEDS[:1]))
                assert (found.dtype, found.ndim, found.shape[-1]) == (torch.uint8, 3, 3)
                assert found.numel() > 0
            assert pixels.equal(before)

    def test_the_same_seed_gives_the_same_picture(
        self, entry: Entry[StageInfo], at: str, given_options: dict[str, Any]
    ) -> None:
        import torch

        only(at, "picture")
        context = StageContext(REQUEST, given_options, SEEDS[:1])
        first = entry.load()(a_picture(), context)
        torch.rand(3)  # the program's own random numbers go on meanwhile
        assert entry.load()(a_picture(), context).equal(first)


def a_picture() -> Tensor:
    """Uint8 [24, 32, 3] of random colours."""
    import torch

    generator = torch.Generator().manual_seed(5)
    return torch.randint(0, 256, (24, 32, 3), generator=generator, dtype=torch.uint8)


def only(at: str, *points: str) -> None:
    if at not in points:
        pytest.skip(f"for stages at {' or '.join(points)}; this one is at '{at}'")
