"""Agreement with k-diffusion in float64: same noise, same exact denoiser, levels of a real model.

Flow models are compared after the change of variables that turns them into variance-exploding ones:
``y = x / (1 - sigma)`` at noise level ``sigma / (1 - sigma)``.
"""

from __future__ import annotations

import pytest
import torch

from sfumato.testing.analytic import Mixture

from .analytic import NoiseTape, latents, noise_schedule, sample, schedule

AGREEMENT = {"rtol": 1e-9, "atol": 1e-11}
CASES = [
    ("euler", {}),
    ("euler", {"s_churn": 9.0, "s_noise": 1.02}),
    ("euler", {"s_churn": 40.0, "s_tmin": 0.1, "s_tmax": 5.0}),
    ("euler_ancestral", {}),
    ("euler_ancestral", {"eta": 0.6, "s_noise": 1.03}),
    ("heun", {}),
    ("heun", {"s_churn": 9.0}),
    ("dpmpp_2m", {}),
    ("dpmpp_sde", {}),
    ("dpmpp_sde", {"eta": 0.5, "s_noise": 0.9, "r": 0.4}),
    ("dpmpp_2m_sde", {}),
    ("dpmpp_2m_sde", {"solver_type": "heun", "eta": 0.7, "s_noise": 1.01}),
    ("dpmpp_2m_sde", {"eta": 0.0}),
    ("dpmpp_3m_sde", {}),
    ("dpmpp_3m_sde", {"eta": 0.6, "s_noise": 1.02}),
    ("dpmpp_3m_sde", {"eta": 0.0}),
    ("dpmpp_2s_ancestral", {}),
    ("dpmpp_2s_ancestral", {"eta": 0.7, "s_noise": 0.98}),
    ("dpmpp_2s_ancestral", {"eta": 0.0}),
    ("lms", {}),
    ("lms", {"order": 2}),
]
IN_LOG_SNR = ("dpmpp_2m", "dpmpp_sde", "dpmpp_2m_sde", "dpmpp_3m_sde")
SAME_IN_BOTH_CONVENTIONS = [
    *(case for case in CASES if case[0] in IN_LOG_SNR),
    ("euler", {}),
    ("dpmpp_2s_ancestral", {"eta": 0.0}),
]


def k_sample(k_sampling, name, x, sigmas, denoise, options):
    """k-diffusion's answer; its Euler and Heun draw noise from torch itself, each step, used or not."""
    options = dict(options)
    if "s_churn" in options:
        options.setdefault("s_tmax", float("inf"))
    elif "sde" in name or "ancestral" in name:
        options.setdefault("noise_sampler", NoiseTape(x))
    tape = NoiseTape(x)
    levels = torch.tensor(sigmas, dtype=torch.float64)

    def model(latents, sigma):
        return denoise(latents, float(sigma[0]))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(k_sampling.torch, "randn_like", lambda like: tape(0.0, 0.0))
        return getattr(k_sampling, f"sample_{name}")(model, x, levels, disable=True, **options)


class EveryStepTape(NoiseTape):
    """Noise number i for step i, whichever steps ask for it."""

    def __init__(self, x, sigmas):
        super().__init__(x)
        draws = [super(EveryStepTape, self).__call__(sigma, 0.0) for sigma in sigmas[:-1]]
        self.by_level = dict(zip(sigmas, draws, strict=False))

    def __call__(self, sigma, sigma_next):
        return self.by_level[sigma]


@pytest.mark.parametrize(("name", "options"), CASES)
@pytest.mark.parametrize("scheduler", ["karras", "normal"])
def test_variance_exploding_steps_are_those_of_k_diffusion(k_sampling, name, options, scheduler):
    sigmas = schedule(scheduler, 12, noise_schedule("variance_exploding"))
    x = sigmas[0] * latents()
    denoise = Mixture("variance_exploding").denoise
    expected = k_sample(k_sampling, name, x, sigmas, denoise, options)
    noise = EveryStepTape(x, sigmas) if "s_churn" in options else NoiseTape(x)
    torch.testing.assert_close(
        sample(name, denoise, x, sigmas, noise=noise, **options), expected, **AGREEMENT
    )


@pytest.mark.parametrize(("name", "options"), SAME_IN_BOTH_CONVENTIONS)
def test_flow_steps_are_those_of_k_diffusion_in_its_variables(k_sampling, name, options):
    sigmas = [0.98, 0.9, 0.75, 0.55, 0.3, 0.12, 0.04]
    ratios = [sigma / (1 - sigma) for sigma in sigmas]
    x = latents()
    flow = Mixture("flow").denoise
    expected = (1 - sigmas[-1]) * k_sample(
        k_sampling,
        name,
        x / (1 - sigmas[0]),
        ratios,
        lambda y, ratio: flow(y / (1 + ratio), ratio / (1 + ratio)),
        options,
    )
    torch.testing.assert_close(sample(name, flow, x, sigmas, "flow", **options), expected, **AGREEMENT)


@pytest.mark.parametrize(
    "name", ["dpmpp_sde", "dpmpp_2m_sde", "dpmpp_3m_sde", "dpmpp_2s_ancestral", "euler_ancestral"]
)
def test_noise_is_asked_for_the_intervals_k_diffusion_asks_for(k_sampling, name):
    sigmas = schedule("karras", 6, noise_schedule("variance_exploding"))
    x = sigmas[0] * latents()
    denoise = Mixture("variance_exploding").denoise
    ours, theirs = NoiseTape(x), NoiseTape(x)
    sample(name, denoise, x, sigmas, noise=ours)
    k_sample(k_sampling, name, x, sigmas, denoise, {"noise_sampler": theirs})
    torch.testing.assert_close(torch.tensor(ours.intervals), torch.tensor(theirs.intervals))


@pytest.mark.parametrize(("steps", "rho"), [(1, 7.0), (2, 7.0), (20, 7.0), (31, 3.0)])
def test_karras_levels_are_those_of_k_diffusion(k_sampling, steps, rho):
    levels = noise_schedule("variance_exploding")
    expected = k_sampling.get_sigmas_karras(steps, levels.sigma_min, levels.sigma_max, rho=rho)
    ours = torch.tensor(schedule("karras", steps, levels, rho=rho))
    torch.testing.assert_close(ours, expected, rtol=2e-6, atol=0)
