"""DPM2, DPM2 a, DPM fast and DPM adaptive beside k-diffusion, and what they promise beyond it."""

from __future__ import annotations

import math

import pytest
import torch

from sfumato.testing.analytic import CONVENTIONS, Gaussian, Mixture
from sfumato_samplers.step_size import StepSize

from .analytic import NoiseTape, latents, noise_schedule, sample, schedule

AGREEMENT = {"rtol": 1e-9, "atol": 1e-11}
FLOW_LEVELS = [0.98, 0.9, 0.75, 0.55, 0.3, 0.12, 0.04]
STEP_SIZES = [
    {},
    {"order": 2},
    {"rtol": 0.005, "atol": 0.0005},
    {"order": 2, "pcoeff": 0.2, "icoeff": 0.7, "dcoeff": 0.1, "accept_safety": 0.9},
    {"eta": 0.7, "s_noise": 1.02},
]


class ChurnTape(NoiseTape):
    """k-diffusion draws noise in every step; this hands out that of the step a level belongs to."""

    def __init__(self, x, sigmas):
        super().__init__(x)
        self.by_level = {sigma: NoiseTape.__call__(self, sigma, 0.0) for sigma in sigmas[:-1]}

    def __call__(self, sigma, sigma_next):
        return self.by_level[sigma]


@pytest.fixture
def k_sample(k_sampling, monkeypatch):
    """Run k-diffusion's function of a name in float64, on a given denoiser and noise."""

    def run(name, denoise, x, *levels, **options):
        def model(latents, sigma):
            return denoise(latents, float(sigma[0]))

        tape = NoiseTape(x)
        monkeypatch.setattr(k_sampling.torch, "randn_like", lambda like: tape(0.0, 0.0))
        if name not in ("dpm_2", "restart"):
            options.setdefault("noise_sampler", NoiseTape(x))
        torch.set_default_dtype(torch.float64)
        try:
            return getattr(k_sampling, f"sample_{name}")(model, x, *levels, disable=True, **options)
        finally:
            torch.set_default_dtype(torch.float32)

    return run


def as_variance_exploding(flow):
    """A flow model's denoiser for ``y = x / (1 - sigma)`` at the noise-to-signal ratio."""
    return lambda y, ratio: flow(y / (1 + ratio), ratio / (1 + ratio))


def ratio(sigma):
    return sigma / (1 - sigma)


@pytest.mark.parametrize("scheduler", ["karras", "normal"])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("dpm_2", {}),
        ("dpm_2", {"s_churn": 9.0, "s_noise": 1.02, "s_tmax": 20.0}),
        ("dpm_2_ancestral", {}),
        ("dpm_2_ancestral", {"eta": 0.6, "s_noise": 1.03}),
    ],
)
def test_dpm_2_is_that_of_k_diffusion(k_sample, name, options, scheduler):
    sigmas = schedule(scheduler, 12, noise_schedule("variance_exploding"))
    x = sigmas[0] * latents()
    denoise = Mixture("variance_exploding").denoise
    expected = k_sample(name, denoise, x, torch.tensor(sigmas, dtype=torch.float64), **options)
    noise = ChurnTape(x, sigmas) if "s_churn" in options else NoiseTape(x)
    torch.testing.assert_close(
        sample(name, denoise, x, sigmas, noise=noise, **options), expected, **AGREEMENT
    )


@pytest.mark.parametrize("options", [{}, {"eta": 0.8, "s_noise": 1.01}])
@pytest.mark.parametrize("steps", range(1, 11))
def test_dpm_fast_is_that_of_k_diffusion(k_sample, steps, options):
    sigmas = [14.6 * (0.03 / 14.6) ** (i / steps) for i in range(steps)] + [0.03]
    x = sigmas[0] * latents()
    denoise = Mixture("variance_exploding").denoise
    expected = k_sample("dpm_fast", denoise, x, sigmas[-1], sigmas[0], steps, **options)
    torch.testing.assert_close(sample("dpm_fast", denoise, x, sigmas, **options), expected, **AGREEMENT)


@pytest.mark.parametrize("options", [{}, {"eta": 0.8, "s_noise": 1.01}])
def test_dpm_fast_treats_a_flow_model_as_k_diffusion_does_in_its_variables(k_sample, options):
    x, flow, sigmas = latents(), Mixture("flow").denoise, FLOW_LEVELS
    first, last, steps = sigmas[0], sigmas[-1], len(sigmas) - 1
    model, y = as_variance_exploding(flow), x / (1 - first)
    expected = (1 - last) * k_sample("dpm_fast", model, y, ratio(last), ratio(first), steps, **options)
    torch.testing.assert_close(sample("dpm_fast", flow, x, sigmas, "flow", **options), expected, **AGREEMENT)


@pytest.mark.parametrize("options", STEP_SIZES)
def test_dpm_adaptive_takes_for_one_picture_the_steps_of_k_diffusion(k_sample, options):
    x, denoise = 14.6 * latents()[:1], Mixture("variance_exploding").denoise
    expected = k_sample("dpm_adaptive", denoise, x, 0.03, 14.6, **options)
    found = sample("dpm_adaptive", denoise, x, [14.6, 1.0, 0.03], **options)
    torch.testing.assert_close(found, expected, **AGREEMENT)


@pytest.mark.parametrize("options", STEP_SIZES)
def test_dpm_adaptive_treats_a_flow_model_as_k_diffusion_does_in_its_variables(k_sample, options):
    x, flow = latents()[:1], Mixture("flow").denoise
    model, y = as_variance_exploding(flow), x / (1 - 0.98)
    expected = (1 - 0.04) * k_sample("dpm_adaptive", model, y, ratio(0.04), ratio(0.98), **options)
    found = sample("dpm_adaptive", flow, x, [0.98, 0.04], "flow", **options)
    torch.testing.assert_close(found, expected, **AGREEMENT)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_dpm_adaptive_gives_each_picture_its_own_steps_and_noise_at_any_batch_size(convention):
    denoise, start = Mixture(convention).denoise, 1.0 if convention == "flow" else 14.6
    pictures = start * torch.cat((latents()[:1], 0.1 * latents(seed=1), latents(seed=2)))

    def drawn(chosen):
        tapes = [NoiseTape(pictures[0], seed) for seed in chosen]
        shown = []
        found = sample(
            "dpm_adaptive",
            denoise,
            pictures[chosen],
            [start, 0.1, 0.03, 0.0],
            convention,
            noise=lambda *interval: torch.stack([tape(*interval) for tape in tapes]),
            on_step=lambda *step: shown.append(step),
            eta=0.6,
        )
        return found, shown

    together, shown = drawn([0, 1, 2, 3, 4])
    steps_alone = 0
    for picture in range(5):
        alone, shown_alone = drawn([picture])
        steps_alone += len(shown_alone)
        assert torch.equal(alone[0], together[picture])
    assert [index for index, _, _ in shown] == list(range(len(shown)))
    shared = 2 if convention == "flow" else 1  # the step out of pure noise, and the last estimate
    assert len(shown) == steps_alone - 4 * shared


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_dpm_adaptive_takes_more_steps_for_a_finer_tolerance_and_errs_less(convention):
    data, start = Gaussian(convention), 0.95 if convention == "flow" else 10.0
    x = data.noisy(start, 32)
    exact = data.transported(x, start, 0.05)
    errors, evaluations = [], []

    def denoise(x, sigma):
        evaluations[-1] += 1
        return data.denoise(x, sigma)

    for rtol in (0.05, 0.005, 0.001):
        evaluations.append(0)
        found = sample("dpm_adaptive", denoise, x, [start, 0.05], convention, rtol=rtol, atol=rtol / 10)
        errors.append(float((found - exact).abs().max()))
    assert evaluations == sorted(set(evaluations))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < errors[0] / 5


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_dpm_fast_converges_at_second_order_or_better(convention):
    # one step in all is of order 2 and one of order 1
    data, start = Gaussian(convention), 0.95 if convention == "flow" else 10.0
    x = data.noisy(start, 32)
    exact = data.transported(x, start, 0.1)

    def error(steps):
        levels = [start + i / steps * (0.1 - start) for i in range(steps + 1)]
        return float((sample("dpm_fast", data.denoise, x, levels, convention) - exact).abs().max())

    assert math.log2(error(49) / error(97)) > 2


def test_latents_that_are_not_finite_end_the_adaptive_search_for_a_step():
    x = latents()[:1]
    found = sample("dpm_adaptive", lambda x, sigma: x * math.nan, x, [10.0, 0.1])
    assert found.isnan().all()


def test_a_step_is_accepted_at_the_latest_when_it_is_the_smallest():
    step = StepSize(0.05, 3, 0.0, 1.0, 0.0, 0.81)
    refused = 0
    while not step.accepts(1e9):
        refused += 1
    assert refused < 10
    assert step.h == StepSize.SMALLEST


@pytest.mark.parametrize(
    ("name", "options"), [("dpm_fast", {}), ("dpm_adaptive", {"rtol": 0.001, "atol": 0.0001}), ("dpm_2", {})]
)
def test_a_flow_model_is_followed_from_pure_noise_to_the_picture(name, options):
    data = Gaussian("flow")
    x = data.noisy(1.0, 32)
    levels = [1 - i / 200 for i in range(201)]
    found = sample(name, data.denoise, x, levels, "flow", **options)
    assert float((found - data.transported(x, 1.0, 0.0)).abs().max()) < 0.01


@pytest.mark.parametrize(("convention", "start"), [("variance_exploding", 14.6), ("flow", 1.0)])
def test_dpm_fast_evaluates_once_a_step_and_once_more_for_the_result(convention, start):
    asked = []

    def denoise(x, sigma):
        asked.append(sigma)
        return Mixture(convention).denoise(x, sigma)

    sample("dpm_fast", denoise, latents(), [*(start * (1 - i / 11) for i in range(11)), 0.0], convention)
    assert len(asked) == 11 + 1
    assert asked == sorted(asked, reverse=True)
