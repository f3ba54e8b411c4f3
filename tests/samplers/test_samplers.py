"""What every sampler of ours keeps beyond the contract of samplers (`sfumato.testing`): more, to the bit."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.testing.analytic import Mixture, SeededNoise

from .analytic import (
    CASES,
    OWN_LEVELS,
    SAMPLERS,
    NoiseTape,
    latents,
    noise_schedule,
    registries,
    sample,
    schedule,
)

BY_SCHEDULE = [case for case in CASES if case[0] not in OWN_LEVELS]
# these carry earlier slopes into the step to 0 too, as their authors do
ENDING_BESIDE_THE_ESTIMATE = ("lms",)
# Heun++ looks only one level ahead before the last step; PLMS looks ahead in its first
EVALUATIONS_MORE_OR_LESS = {"heunpp2": -1, "plms": 1}


def levels(convention, steps=7):
    return schedule("simple", steps, noise_schedule(convention))


@pytest.mark.parametrize(("name", "convention"), CASES)
def test_a_batch_equals_its_single_pictures_to_the_bit(convention, name):
    sigmas = levels(convention)
    pictures = sigmas[0] * latents()
    seeds = (11, 12)
    denoise = Mixture(convention).denoise
    together = sample(name, denoise, pictures, sigmas, convention, noise=SeededNoise(pictures, seeds))
    for picture, seed, found in zip(pictures, seeds, together, strict=True):
        noise = SeededNoise(pictures, [seed])
        alone = sample(name, denoise, picture[None], sigmas, convention, noise=noise)
        assert torch.equal(alone[0], found)


@pytest.mark.parametrize("name", [name for name in SAMPLERS if name != "dpm_adaptive"])
def test_float32_is_enough_for_the_levels_of_zero_terminal_snr(name):
    ordinary = noise_schedule("variance_exploding")
    sigmas = schedule("sgm_uniform", 10, replace(ordinary, sigmas=(*ordinary.sigmas[:-1], 4500.0)))
    x, denoise = sigmas[0] * latents(), Mixture("variance_exploding").denoise
    tapes = NoiseTape(x), NoiseTape(x)
    exact = sample(name, denoise, x, sigmas, noise=tapes[0])
    found = sample(name, denoise, x.float(), sigmas, noise=lambda *interval: tapes[1](*interval).float())
    torch.testing.assert_close(found.double(), exact, rtol=0, atol=1e-3)


@pytest.mark.parametrize(("name", "convention"), BY_SCHEDULE)
def test_a_step_shows_the_very_estimate_of_its_level(convention, name):
    seen = []
    sigmas = levels(convention)
    denoise = Mixture(convention).denoise
    sample(name, denoise, sigmas[0] * latents(), sigmas, convention, on_step=lambda *step: seen.append(step))
    assert [index for index, _, _ in seen] == list(range(7))
    for index, x, denoised in seen:
        assert torch.equal(denoised, denoise(x, sigmas[index]))


@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.parametrize(
    ("name", "convention"), [case for case in CASES if case[0] not in ENDING_BESIDE_THE_ESTIMATE]
)
def test_few_steps_end_in_the_last_estimate_to_the_bit(name, convention, steps):
    estimates = []

    def denoise(x, sigma):
        estimates.append(Mixture(convention).denoise(x, sigma))
        return estimates[-1]

    sigmas = levels(convention, steps)
    found = sample(name, denoise, sigmas[0] * latents(), sigmas, convention)
    assert torch.equal(found, estimates[-1])


@pytest.mark.parametrize(("name", "convention"), CASES)
def test_no_step_leaves_latents_as_they_are(name, convention):
    assert torch.equal(sample(name, Mixture(convention).denoise, latents(), [0.7], convention), latents())


@settings(max_examples=40)
@given(
    st.sampled_from(CASES),
    st.floats(0, 2),
    st.floats(0, 2),
    st.integers(1, 12),
)
def test_any_options_within_bounds_give_finite_latents(case, eta, s_noise, steps):
    name, convention = case
    names = {option.name for option in registries().samplers.get(name).info.options}
    options = {key: value for key, value in {"eta": eta, "s_noise": s_noise}.items() if key in names}
    sigmas = levels(convention, steps)
    found = sample(name, Mixture(convention).denoise, sigmas[0] * latents(), sigmas, convention, **options)
    assert torch.isfinite(found).all()


def test_dpmpp_2m_sde_without_noise_is_dpmpp_2m():
    sigmas, denoise = levels("flow"), Mixture("flow").denoise
    plain = sample("dpmpp_2m", denoise, latents(), sigmas, "flow")
    quiet = sample("dpmpp_2m_sde", denoise, latents(), sigmas, "flow", eta=0.0)
    torch.testing.assert_close(quiet, plain)


@pytest.mark.parametrize(("name", "convention"), BY_SCHEDULE)
def test_the_model_is_evaluated_exactly_as_often_as_the_description_says(name, convention):
    calls = []

    def denoise(x, sigma):
        calls.append(sigma)
        return Mixture(convention).denoise(x, sigma)

    sample(name, denoise, latents(), [0.9, 0.7, 0.5, 0.3, 0.0], convention)
    expected = 3 * registries().samplers.get(name).info.evaluations_per_step + 1
    assert len(calls) == expected + EVALUATIONS_MORE_OR_LESS.get(name, 0)


def test_the_schedulers_that_samplers_prefer_are_there():
    filled = registries()
    preferred = {entry.info.preferred_scheduler for entry in filled.samplers} - {""}
    assert preferred
    assert all(name in filled.schedulers for name in preferred)
