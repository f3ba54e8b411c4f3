"""What every sampler promises besides its mathematics."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.errors import BadInput, UnknownName

from .analytic import (
    CASES,
    OWN_LEVELS,
    SAMPLERS,
    Mixture,
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
def test_a_batch_equals_its_single_pictures(convention, name):
    sigmas = levels(convention)
    pictures = sigmas[0] * latents()
    seeds = (11, 12)

    def noise_of(chosen):
        tapes = [NoiseTape(pictures[0], seed) for seed in chosen]
        return lambda sigma, sigma_next: torch.stack([tape(sigma, sigma_next) for tape in tapes])

    denoise = Mixture(convention).denoise
    together = sample(name, denoise, pictures, sigmas, convention, noise=noise_of(seeds))
    for picture, seed, found in zip(pictures, seeds, together, strict=True):
        alone = sample(name, denoise, picture[None], sigmas, convention, noise=noise_of([seed]))
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
def test_each_step_is_observed_once_with_the_estimate_of_its_level(convention, name):
    seen = []
    sigmas = levels(convention)
    denoise = Mixture(convention).denoise
    sample(name, denoise, sigmas[0] * latents(), sigmas, convention, on_step=lambda *step: seen.append(step))
    assert [index for index, _, _ in seen] == list(range(7))
    for index, x, denoised in seen:
        assert torch.equal(denoised, denoise(x, sigmas[index]))


@pytest.mark.parametrize(("name", "convention"), CASES)
def test_an_observer_may_stop_the_work(name, convention):
    class StopNow(Exception):
        pass

    def stop(index, x, denoised):
        raise StopNow

    with pytest.raises(StopNow):
        sample(name, Mixture(convention).denoise, latents(), levels(convention), convention, on_step=stop)


@pytest.mark.parametrize(("name", "convention"), CASES)
def test_latents_estimates_and_noise_are_left_unchanged(convention, name):
    handed_out = []

    def remembered(tensor):
        handed_out.append((tensor, tensor.clone()))
        return tensor

    sigmas = levels(convention)
    x = remembered(sigmas[0] * latents())
    tape = NoiseTape(x)
    sample(
        name,
        lambda x, sigma: remembered(Mixture(convention).denoise(x, sigma)),
        x,
        sigmas,
        convention,
        noise=lambda *interval: remembered(tape(*interval)),
    )
    assert all(torch.equal(tensor, copy) for tensor, copy in handed_out)


@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.parametrize(("name", "convention"), CASES)
def test_few_steps_from_the_highest_level_stay_finite_and_end_in_the_estimate(name, convention, steps):
    estimates = []

    def denoise(x, sigma):
        estimates.append(Mixture(convention).denoise(x, sigma))
        return estimates[-1]

    sigmas = levels(convention, steps)
    found = sample(name, denoise, sigmas[0] * latents(), sigmas, convention)
    assert torch.isfinite(found).all()
    assert torch.equal(found, estimates[-1]) or name in ENDING_BESIDE_THE_ESTIMATE


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("name", "convention"), CASES)
def test_latents_keep_their_type(name, convention, dtype):
    sigmas = levels(convention)
    x = (sigmas[0] * latents()).to(dtype)
    assert sample(name, lambda x, sigma: 0.5 * x, x, sigmas, convention).dtype == dtype


@pytest.mark.parametrize(("name", "convention"), CASES)
def test_no_step_leaves_latents_as_they_are(name, convention):
    assert torch.equal(sample(name, Mixture(convention).denoise, latents(), [0.7], convention), latents())


@settings(max_examples=40, deadline=None)
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
def test_the_model_is_evaluated_as_often_as_the_description_says(name, convention):
    calls = []

    def denoise(x, sigma):
        calls.append(sigma)
        return Mixture(convention).denoise(x, sigma)

    sample(name, denoise, latents(), [0.9, 0.7, 0.5, 0.3, 0.0], convention)
    expected = 3 * registries().samplers.get(name).info.evaluations_per_step + 1
    assert len(calls) == expected + EVALUATIONS_MORE_OR_LESS.get(name, 0)


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("Euler a", "euler_ancestral"),
        ("k_euler_a", "euler_ancestral"),
        ("EulerAncestralDiscreteScheduler", "euler_ancestral"),
        ("FlowMatchEulerDiscreteScheduler", "euler"),
        ("dpm++ 2m", "dpmpp_2m"),
        ("DPMSolverMultistepScheduler", "dpmpp_2m"),
        ("sample_dpmpp_sde", "dpmpp_sde"),
        ("dpmpp_2m_sde_gpu", "dpmpp_2m_sde"),
        ("DPM++ 2M SDE", "dpmpp_2m_sde"),
        ("DPM2 a", "dpm_2_ancestral"),
        ("k_dpm_2_a", "dpm_2_ancestral"),
        ("KDPM2DiscreteScheduler", "dpm_2"),
        ("k_dpm_ad", "dpm_adaptive"),
        ("sample_dpm_fast", "dpm_fast"),
        ("DDIMScheduler", "ddim"),
        ("DDPMScheduler", "ddpm"),
        ("LCMScheduler", "lcm"),
        ("heunpp2", "heunpp2"),
        ("Restart", "restart"),
        ("Euler a CFG++", "euler_ancestral_cfg_pp"),
    ],
)
def test_samplers_answer_to_the_names_people_know(spelling, name):
    assert registries().samplers.get(spelling).info.name == name


def test_a_slip_in_a_name_is_answered_with_the_nearest_ones():
    with pytest.raises(UnknownName, match=r"DPM\+\+ 2M"):
        registries().samplers.get("DPM+ 2M")


def test_all_entries_load_and_name_schedulers_that_exist():
    filled = registries()
    assert {entry.info.name for entry in filled.samplers} == set(SAMPLERS)
    for entry in (*filled.samplers, *filled.schedulers):
        assert callable(entry.load())
        assert entry.info.summary
    preferred = {entry.info.preferred_scheduler for entry in filled.samplers} - {""}
    assert all(name in filled.schedulers for name in preferred)


def test_option_defaults_lie_within_their_bounds():
    for entry in (*registries().samplers, *registries().schedulers):
        for option in entry.info.options:
            assert option.choices == () or option.default in option.choices
            assert option.minimum is None or option.minimum <= option.default <= option.maximum


def test_registering_imports_no_tensor_library():
    program = "import sys, sfumato_samplers.plugin; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_the_flow_scheduler_refuses_other_models():
    with pytest.raises(BadInput, match="does not suit"):
        schedule("flow", 4, noise_schedule("variance_exploding"))
