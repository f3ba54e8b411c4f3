"""The contract of samplers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from sfumato.errors import BadInput
from sfumato.noise_schedule import Convention
from sfumato.registry import Entry
from sfumato.sampling import NoiseSource, SamplerInfo, SamplingContext
from sfumato.testing.analytic import (
    CONVENTIONS,
    Gaussian,
    Mixture,
    SeededNoise,
    conventions_of,
    levels,
    normal,
)
from sfumato.testing.entries import EntryContract, extreme_values

if TYPE_CHECKING:
    from torch import Tensor

SEEDS = (11, 12)
STEPS = 7
MANY_STEPS = 24
"""Some add noise only where there are steps to spare (Restart: from 20 on)."""
FALLING_LEVELS: dict[Convention, list[float]] = {
    "variance_exploding": [14.6, 6.0, 2.5, 1.0, 0.4],
    "flow": [1.0, 0.9, 0.72, 0.5, 0.3],
}


class StopNow(Exception):
    """Raised by an observer that has seen enough."""


def sample(
    entry: Entry[SamplerInfo],
    denoise: Callable[[Tensor, float], Tensor],
    x: Tensor,
    sigmas: Sequence[float],
    convention: Convention,
    options: dict[str, Any],
    *,
    noise: NoiseSource | None = None,
    on_step: Callable[[int, Tensor, Tensor], None] | None = None,
) -> Tensor:
    """Run a registered sampler as the engine does, the negative prompt's estimate being the prompt's."""

    def model(latents: Tensor, sigma: float) -> Tensor:
        assert isinstance(sigma, float), f"denoise() wants a level as a float, not {sigma!r}"
        assert sigma > 0, "denoise() is not for latents without noise: no model knows level 0"
        assert latents.shape == x.shape, "denoise() wants the whole batch"
        return denoise(latents, sigma)

    def denoise_pair(x: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
        estimate = model(x, sigma)
        return estimate, estimate

    observer = {} if on_step is None else {"on_step": on_step}
    context = SamplingContext(
        convention=convention,
        noise=noise or SeededNoise(x, range(len(x))),
        options=options,
        denoise_pair=denoise_pair if entry.info.needs_unconditional else None,
        **observer,
    )
    given = list(sigmas)
    found: Tensor = entry.load()(model, x, given, context)
    assert given == list(sigmas), "the list of levels was changed; it is the caller's"
    return found


def spaced(convention: Convention, steps: int, start: float, end: float) -> list[float]:
    """Levels equally spaced in sigma for flow models, in its logarithm for others."""
    if convention == "flow":
        return [start + i / steps * (end - start) for i in range(steps + 1)]
    return [start * (end / start) ** (i / steps) for i in range(steps + 1)]


def drawn(
    entry: Entry[SamplerInfo],
    x: Tensor,
    seeds: Sequence[int],
    convention: Convention,
    options: dict[str, Any],
    steps: int = STEPS,
) -> Tensor:
    """One picture a seed, from latents `x`."""
    sigmas, denoise = levels(convention, steps), Mixture(convention).denoise
    return sample(entry, denoise, x, sigmas, convention, options, noise=SeededNoise(x, seeds))


class SamplerContract(EntryContract):
    """What a registered sampler promises, tried on data whose exact solution is known, in float64."""

    registry: ClassVar[str] = "samplers"

    @pytest.fixture(params=CONVENTIONS)
    def convention(self, request: pytest.FixtureRequest, entry: Entry[SamplerInfo]) -> Convention:
        """Every way of mixing noise and picture that the models it is made for have."""
        chosen: Convention = request.param
        if chosen not in conventions_of(entry.info.predictions):
            pytest.skip(f"made for {', '.join(entry.info.predictions)} alone")
        return chosen

    @pytest.mark.parametrize("steps", [1, 2, 3, STEPS])
    def test_latents_stay_finite_and_keep_their_shape(
        self, entry: Entry[SamplerInfo], convention: Convention, given_options: dict[str, Any], steps: int
    ) -> None:
        sigmas = levels(convention, steps)
        x = sigmas[0] * normal((2, 1, 4, 4))
        found = sample(entry, Mixture(convention).denoise, x, sigmas, convention, given_options)
        assert found.shape == x.shape
        assert found.isfinite().all()

    def test_options_at_their_bounds_give_finite_latents_or_are_refused(
        self, entry: Entry[SamplerInfo], convention: Convention, given_options: dict[str, Any]
    ) -> None:
        sigmas, denoise = levels(convention, STEPS), Mixture(convention).denoise
        x = sigmas[0] * normal((1, 1, 4, 4))
        for option in entry.info.options:
            for value in extreme_values(option):
                options = {**given_options, option.name: value}
                try:
                    found = sample(entry, denoise, x, sigmas, convention, options)
                except BadInput:
                    continue
                assert found.isfinite().all(), f"{option.name}={value}"

    def test_a_batch_equals_its_single_pictures(
        self, entry: Entry[SamplerInfo], convention: Convention, given_options: dict[str, Any]
    ) -> None:
        import torch

        pictures = levels(convention, STEPS)[0] * normal((2, 1, 4, 4))
        together = drawn(entry, pictures, SEEDS, convention, given_options)
        for i, seed in enumerate(SEEDS):
            alone = drawn(entry, pictures[i : i + 1], [seed], convention, given_options)
            torch.testing.assert_close(alone, together[i : i + 1])

    def test_the_seed_decides_the_picture_just_when_it_says_that_it_adds_noise(
        self, entry: Entry[SamplerInfo], convention: Convention, given_options: dict[str, Any]
    ) -> None:
        x = levels(convention, MANY_STEPS)[0] * normal((1, 1, 4, 4))
        first, second = (drawn(entry, x, [seed], convention, given_options, MANY_STEPS) for seed in SEEDS)
        differs = not first.equal(second)
        assert differs == entry.info.stochastic, "noise comes from context.noise, and `stochastic` says so"

    def test_latents_estimates_and_noise_are_left_unchanged(
        self, entry: Entry[SamplerInfo], convention: Convention, given_options: dict[str, Any]
    ) -> None:
        handed_out: list[tuple[str, Tensor, Tensor]] = []

        def remembered(tensor: Tensor, what: str) -> Tensor:
            handed_out.append((what, tensor, tensor.clone()))
            return tensor

        sigmas, data = levels(convention, STEPS), Mixture(convention)
        x = remembered(sigmas[0] * normal((2, 1, 4, 4)), "x")
        noise = SeededNoise(x, SEEDS)
        sample(
            entry,
            lambda x, sigma: remembered(data.denoise(x, sigma), "an estimate"),
            x,
            sigmas,
            convention,
            given_options,
            noise=lambda sigma, sigma_next: remembered(noise(sigma, sigma_next), "noise"),
        )
        changed = {what for what, tensor, copy in handed_out if not tensor.equal(copy)}
        assert not changed, "work in place on tensors of your own alone"

    @pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
    def test_latents_keep_their_type(
        self, entry: Entry[SamplerInfo], convention: Convention, given_options: dict[str, Any], dtype: str
    ) -> None:
        import torch

        sigmas = levels(convention, STEPS)
        x = (sigmas[0] * normal((2, 1, 4, 4))).to(getattr(torch, dtype))
        found = sample(entry, lambda x, sigma: 0.5 * x, x, sigmas, convention, given_options)
        assert found.dtype == x.dtype

    def test_it_ends_in_the_picture_when_the_model_knows_it(
        self, entry: Entry[SamplerInfo], convention: Convention, given_options: dict[str, Any]
    ) -> None:
        sigmas, picture = levels(convention, STEPS), normal((2, 1, 4, 4), seed=3)
        x = picture * Gaussian(convention).signal(sigmas[0]) + sigmas[0] * normal((2, 1, 4, 4))
        found = sample(entry, lambda x, sigma: picture.clone(), x, sigmas, convention, given_options)
        noise_left = sigmas[-2] if entry.info.own_levels else 1e-6
        assert float((found - picture).abs().max()) <= 4 * noise_left

    def test_each_step_is_observed_once(
        self, entry: Entry[SamplerInfo], convention: Convention, given_options: dict[str, Any]
    ) -> None:
        seen: list[tuple[int, Tensor, Tensor]] = []
        sigmas, picture = levels(convention, STEPS), normal((2, 1, 4, 4), seed=3)
        x = sigmas[0] * normal((2, 1, 4, 4))

        def observe(index: int, x: Tensor, denoised: Tensor) -> None:
            seen.append((index, x.clone(), denoised.clone()))

        sample(entry, lambda x, sigma: picture.clone(), x, sigmas, convention, given_options, on_step=observe)
        assert [index for index, _, _ in seen] == list(range(len(seen) if entry.info.own_levels else STEPS))
        assert seen[0][1].equal(x), "on_step(index, x, denoised): the first x is the one that was given"
        for index, noisy, denoised in seen:
            assert noisy.shape == x.shape
            assert (denoised - picture).abs().max() < 1e-6, f"step {index} shows no estimate of the model"

    def test_an_observer_may_stop_the_work(
        self, entry: Entry[SamplerInfo], convention: Convention, given_options: dict[str, Any]
    ) -> None:
        steps_seen, calls = [], []

        def stop(index: int, x: Tensor, denoised: Tensor) -> None:
            steps_seen.append(index)
            raise StopNow

        def denoise(x: Tensor, sigma: float) -> Tensor:
            calls.append(sigma)
            return Mixture(convention).denoise(x, sigma)

        sigmas = levels(convention, STEPS)
        x = sigmas[0] * normal((1, 1, 4, 4))
        with pytest.raises(StopNow):
            sample(entry, denoise, x, sigmas, convention, given_options, on_step=stop)
        assert steps_seen == [0]
        assert len(calls) <= entry.info.evaluations_per_step + 1, "tell of a step once it is known, not later"

    def test_it_costs_no_more_evaluations_than_it_says(
        self, entry: Entry[SamplerInfo], convention: Convention, given_options: dict[str, Any]
    ) -> None:
        if entry.info.own_levels:
            pytest.skip("chooses its levels, and their number, itself")
        calls = []

        def denoise(x: Tensor, sigma: float) -> Tensor:
            calls.append(sigma)
            return Mixture(convention).denoise(x, sigma)

        sigmas = levels(convention, STEPS)
        sample(entry, denoise, sigmas[0] * normal((1, 1, 4, 4)), sigmas, convention, given_options)
        assert len(calls) <= STEPS * entry.info.evaluations_per_step + 1  # some begin with one more

    def test_it_converges_to_the_exact_solution_at_its_order(
        self, entry: Entry[SamplerInfo], convention: Convention, given_options: dict[str, Any]
    ) -> None:
        if entry.info.stochastic or entry.info.own_levels:
            pytest.skip("adds noise, or chooses its levels itself")
        data = Gaussian(convention)
        start, end = (0.95, 0.1) if convention == "flow" else (10.0, 0.1)
        x = data.noisy(start, 32)
        exact = data.transported(x, start, end)

        def error(steps: int) -> float:
            sigmas = spaced(convention, steps, start, end)
            found = sample(entry, data.denoise, x, sigmas, convention, given_options)
            return float((found - exact).abs().max())

        # What remembers earlier steps has none at first: a first step of order 1 leaves an error of order 2.
        reached = min(entry.info.order, 2) if entry.info.evaluations_per_step == 1 else entry.info.order
        coarse, fine = error(64), error(128)
        assert fine < 1e-12 or math.log2(coarse / fine) > reached - 0.3

    def test_fresh_noise_brings_latents_to_the_variance_of_their_level(
        self, entry: Entry[SamplerInfo], convention: Convention, given_options: dict[str, Any]
    ) -> None:
        if not entry.info.stochastic or entry.info.own_levels:
            pytest.skip("adds no noise, or chooses its levels itself")
        picture, sigmas = Gaussian(convention, deviation=0.0), FALLING_LEVELS[convention]
        x = picture.noisy(sigmas[0], 20_000)
        found = sample(entry, picture.denoise, x, sigmas, convention, given_options)
        assert float(found.std()) == pytest.approx(sigmas[-1], rel=0.03)
        assert float(found.mean()) == pytest.approx(picture.signal(sigmas[-1]) * picture.mean, abs=0.02)
