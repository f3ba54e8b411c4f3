"""Agreement with diffusers' schedulers, most of which compute in float32."""

from __future__ import annotations

import math

import numpy
import pytest
import torch

from sfumato.noise_schedule import dynamic_shift, flow_schedule
from sfumato.testing.analytic import CONVENTIONS, Mixture
from sfumato_samplers.schedules.beta_distribution import beta_quantile

from .analytic import NoiseTape, latents, noise_schedule, sample, schedule

diffusers = pytest.importorskip("diffusers")
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning", "ignore:__array_wrap__:DeprecationWarning"
)

AGREEMENT = {"rtol": 1e-5, "atol": 1e-5}
EXACT_AGREEMENT = {"rtol": 1e-9, "atol": 1e-11}  # where their levels can be given in float64
STABLE_DIFFUSION = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}


def flow_result(scheduler, x, noise=None):
    """Sample with a diffusers flow scheduler: the model predicts the velocity ``noise - picture``."""
    denoise = Mixture("flow").denoise
    for time in scheduler.timesteps:
        sigma = float(time) / 1000
        extra = {"variance_noise": noise(0.0, 0.0)} if noise else {}
        velocity = (x - denoise(x, sigma)) / sigma
        x = scheduler.step(velocity, time, x, return_dict=False, **extra)[0]
    return x


def test_euler_is_diffusers_flow_match_euler():
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0)
    scheduler.set_timesteps(9)
    ours = sample("euler", Mixture("flow").denoise, latents(), scheduler.sigmas.tolist(), "flow")
    torch.testing.assert_close(ours, flow_result(scheduler, latents()).double(), **AGREEMENT)


def test_heun_is_diffusers_flow_match_heun():
    scheduler = diffusers.FlowMatchHeunDiscreteScheduler(shift=3.0)
    scheduler.set_timesteps(9)
    sigmas = [*scheduler.sigmas[:1].tolist(), *scheduler.sigmas[1::2].tolist()]
    ours = sample("heun", Mixture("flow").denoise, latents(), sigmas, "flow")
    torch.testing.assert_close(ours, flow_result(scheduler, latents()).double(), **AGREEMENT)


@pytest.mark.parametrize(
    ("name", "algorithm", "solver", "options"),
    [
        ("dpmpp_2m", "dpmsolver++", "midpoint", {}),
        ("dpmpp_2m_sde", "dpmsolver++", "heun", {"eta": 0.0, "solver_type": "heun"}),
        ("dpmpp_2m_sde", "sde-dpmsolver++", "midpoint", {}),
        ("dpmpp_2m_sde", "sde-dpmsolver++", "heun", {"solver_type": "heun"}),
    ],
)
def test_flow_multistep_solvers_are_diffusers_dpm_solver(name, algorithm, solver, options):
    scheduler = diffusers.DPMSolverMultistepScheduler(
        algorithm_type=algorithm,
        solver_type=solver,
        prediction_type="flow_prediction",
        use_flow_sigmas=True,
        flow_shift=3.0,
    )
    scheduler.set_timesteps(9)
    sigmas = scheduler.sigmas.tolist()
    scheduler.timesteps = scheduler.sigmas[:-1] * 1000  # those it makes are whole numbers
    x, tape = latents(), NoiseTape(latents())
    expected = flow_result(scheduler, x, tape if algorithm.startswith("sde") else None)
    ours = sample(name, Mixture("flow").denoise, x, sigmas, "flow", noise=NoiseTape(x), **options)
    torch.testing.assert_close(ours, expected.double(), **AGREEMENT)


@pytest.mark.parametrize(
    ("name", "peer", "options"),
    [
        ("euler", "EulerDiscreteScheduler", {}),
        ("euler_ancestral", "EulerAncestralDiscreteScheduler", {"eta": 0.0}),
    ],
)
def test_variance_exploding_euler_is_diffusers(name, peer, options):
    scheduler = diffusers.EulerDiscreteScheduler(use_karras_sigmas=True, **STABLE_DIFFUSION)
    scheduler.set_timesteps(9)
    sigmas = scheduler.sigmas.tolist()
    denoise = Mixture("variance_exploding").denoise
    x = start = sigmas[0] * latents()
    for sigma, time in zip(sigmas, scheduler.timesteps, strict=False):
        scheduler.scale_model_input(x, time)
        x = scheduler.step((x - denoise(x, sigma)) / sigma, time, x, return_dict=False)[0]
    torch.testing.assert_close(sample(name, denoise, start, sigmas, **options), x.double(), **AGREEMENT)


def multistep_result(scheduler, convention, sigmas, x):
    """Sample with a diffusers multistep scheduler at given levels; its latents keep unit variance."""
    scheduler.set_timesteps(len(sigmas) - 1)
    scheduler.sigmas = torch.tensor(sigmas, dtype=torch.float64)
    scheduler.set_begin_index(0)
    scales = [1.0 if convention == "flow" else 1 / math.hypot(1.0, sigma) for sigma in sigmas]
    for i, time in enumerate(scheduler.timesteps):
        slope = (x - Mixture(convention).denoise(x, sigmas[i])) / sigmas[i]
        x = scheduler.step(slope, time, scales[i] * x, return_dict=False)[0] / scales[i + 1]
    return x.double()


LEVELS = {
    "variance_exploding": schedule("karras", 17, noise_schedule("variance_exploding")),
    "flow": [
        0.98,
        0.95,
        0.92,
        0.88,
        0.84,
        0.79,
        0.74,
        0.68,
        0.61,
        0.54,
        0.47,
        0.4,
        0.33,
        0.26,
        0.19,
        0.12,
        0.06,
        0.0,
    ],
}
KINDS = {
    "variance_exploding": {"prediction_type": "epsilon", **STABLE_DIFFUSION},
    "flow": {"prediction_type": "flow_prediction", "use_flow_sigmas": True},
}


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize(("name", "variant"), [("uni_pc", "bh1"), ("uni_pc_bh2", "bh2")])
@pytest.mark.parametrize("steps", [3, 16])
def test_uni_pc_is_diffusers(convention, order, name, variant, steps):
    sigmas = LEVELS[convention][: steps + 1]
    if variant == "bh2":
        sigmas[-1] = 0.0  # its bh1 makes NaN of a step to 0
    x = sigmas[0] * latents()
    peer = diffusers.UniPCMultistepScheduler(solver_type=variant, solver_order=order, **KINDS[convention])
    ours = sample(name, Mixture(convention).denoise, x, sigmas, convention, order=order)
    torch.testing.assert_close(ours, multistep_result(peer, convention, sigmas, x), **EXACT_AGREEMENT)


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("order", [1, 2, 3])
def test_deis_in_the_log_ratio_is_diffusers(convention, order):
    sigmas = LEVELS[convention][:-1]  # its own levels stop above 0, and it lowers the order below 15 steps
    x = sigmas[0] * latents()
    peer = diffusers.DEISMultistepScheduler(solver_order=order, **KINDS[convention])
    options = {"order": order, "interpolation": "log_ratio"}
    ours = sample("deis", Mixture(convention).denoise, x, sigmas, convention, **options)
    torch.testing.assert_close(ours, multistep_result(peer, convention, sigmas, x), **EXACT_AGREEMENT)


def test_lms_is_diffusers():
    scheduler = diffusers.LMSDiscreteScheduler(use_karras_sigmas=True, **STABLE_DIFFUSION)
    scheduler.set_timesteps(9)
    sigmas = scheduler.sigmas.tolist()
    denoise = Mixture("variance_exploding").denoise
    x = start = sigmas[0] * latents()
    for sigma, time in zip(sigmas, scheduler.timesteps, strict=False):
        scheduler.scale_model_input(x, time)
        x = scheduler.step((x - denoise(x, sigma)) / sigma, time, x, return_dict=False)[0]
    torch.testing.assert_close(sample("lms", denoise, start, sigmas), x.double(), **AGREEMENT)


def test_plms_is_diffusers_pndm_without_runge_kutta_steps():
    scheduler = diffusers.PNDMScheduler(skip_prk_steps=True, steps_offset=1, **STABLE_DIFFUSION)
    scheduler.set_timesteps(10)
    table = ((1 - scheduler.alphas_cumprod) / scheduler.alphas_cumprod).sqrt().tolist()
    sigmas = [table[time] for time in (901, 801, 701, 601, 501, 401, 301, 201, 101, 1, 0)]
    denoise = Mixture("variance_exploding").denoise
    x, start = (sigmas[0] * latents() for _ in range(2))
    ends = [sigmas[1], *sigmas[1:]]  # the first step is taken twice
    for time, end in zip(scheduler.timesteps.tolist(), ends, strict=True):
        sigma = table[time]
        slope = (x - denoise(x, sigma)) / sigma
        x = scheduler.step(slope, time, x / math.hypot(1, sigma), return_dict=False)[0] * math.hypot(1, end)
    torch.testing.assert_close(sample("plms", denoise, start, sigmas), x.double(), **AGREEMENT)


def test_ipndm_is_diffusers():
    scheduler = diffusers.IPNDMScheduler()
    sigmas = LEVELS["variance_exploding"][:-1]  # at 0 it goes on where ours returns the estimate
    scheduler.set_timesteps(len(sigmas) - 1)
    scheduler.alphas = torch.tensor([1 / math.hypot(1, sigma) for sigma in sigmas])
    scheduler.betas = torch.tensor(sigmas) * scheduler.alphas
    denoise = Mixture("variance_exploding").denoise
    x = start = sigmas[0] * latents()
    for i, time in enumerate(scheduler.timesteps):
        alpha, alpha_next, beta = (float(v) for v in (*scheduler.alphas[i : i + 2], scheduler.betas[i]))
        velocity = ((x - denoise(x, sigmas[i])) / sigmas[i] - beta * alpha * x) / alpha
        x = scheduler.step(velocity, time, alpha * x, return_dict=False)[0] / alpha_next
    torch.testing.assert_close(sample("ipndm", denoise, start, sigmas), x.double(), **AGREEMENT)


def test_karras_levels_are_diffusers():
    scheduler = diffusers.EulerDiscreteScheduler(use_karras_sigmas=True, **STABLE_DIFFUSION)
    scheduler.set_timesteps(20)
    ours = schedule("karras", 20, noise_schedule("variance_exploding"))
    numpy.testing.assert_allclose(ours, scheduler.sigmas.tolist(), rtol=1e-4)


def test_normal_levels_are_diffusers_linearly_spaced_ones():
    scheduler = diffusers.EulerDiscreteScheduler(
        timestep_spacing="linspace", interpolation_type="log_linear", **STABLE_DIFFUSION
    )
    scheduler.set_timesteps(20)
    ours = schedule("normal", 20, noise_schedule("variance_exploding"))
    # diffusers' log-linear ones ignore the timesteps: take levels at these from its table instead
    table = numpy.log(((1 - scheduler.alphas_cumprod) / scheduler.alphas_cumprod).sqrt().double().numpy())
    expected = numpy.exp(numpy.interp(numpy.linspace(999, 0, 20), numpy.arange(1000), table))
    numpy.testing.assert_allclose(ours[:-1], expected, rtol=1e-4)


@pytest.mark.parametrize("steps", [1, 4, 20, 28])
def test_flow_levels_are_those_flux_pipeline_takes_at_its_dynamic_shift(steps):
    tokens = 64 * 48
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True)
    mu = 0.5 + (1.15 - 0.5) / (4096 - 256) * (tokens - 256)
    scheduler.set_timesteps(sigmas=numpy.linspace(1.0, 1 / steps, steps), mu=mu)
    ours = schedule("flow", steps, flow_schedule(dynamic_shift(tokens)))
    numpy.testing.assert_allclose(ours, scheduler.sigmas.tolist(), rtol=1e-6)


def test_flow_levels_under_a_given_shift_are_diffusers_static_ones():
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(shift=2.5)
    scheduler.set_timesteps(sigmas=numpy.linspace(1.0, 1 / 12, 12))
    ours = schedule("flow", 12, flow_schedule(shift=7.0), shift=2.5)
    numpy.testing.assert_allclose(ours, scheduler.sigmas.tolist(), rtol=1e-6)


def test_flow_tables_are_those_of_diffusers():
    theirs = diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0).sigmas.flip(0)
    numpy.testing.assert_allclose(flow_schedule(shift=3.0).sigmas, theirs.tolist(), rtol=1e-6)


def test_beta_quantiles_space_levels_as_diffusers_does():
    pytest.importorskip("scipy")
    scheduler = diffusers.EulerDiscreteScheduler(use_beta_sigmas=True, **STABLE_DIFFUSION)
    scheduler.set_timesteps(15)
    levels = noise_schedule("variance_exploding")
    spacing = [beta_quantile(1 - i / 14, 0.6, 0.6) for i in range(15)]
    ours = [levels.sigma_min + x * (levels.sigma_max - levels.sigma_min) for x in spacing]
    numpy.testing.assert_allclose(ours, scheduler.sigmas[:-1].tolist(), rtol=1e-4)
