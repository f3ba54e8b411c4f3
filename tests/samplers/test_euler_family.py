"""DDIM, DDPM, LCM, Heun++, Restart and CFG++ beside diffusers, and as the methods they reduce to."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch

from sfumato.testing.analytic import CONVENTIONS, Gaussian, Mixture
from sfumato_engine.noise.image_noise import ImageNoise
from sfumato_engine.noise.settings import NoiseSettings

from .analytic import NoiseTape, latents, noise_schedule, sample, schedule

pytestmark = pytest.mark.filterwarnings("ignore:__array_:DeprecationWarning")

AGREEMENT = {"rtol": 1e-5, "atol": 1e-5}
TRAINED = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
VE = Mixture("variance_exploding").denoise


def levels(convention, steps):
    return schedule("simple", steps, noise_schedule(convention))


def start_of(convention):
    return 0.95 if convention == "flow" else 10.0


def variance_preserving_result(scheduler, x, sigmas, **extra):
    """Sample with a diffusers scheduler whose latents have variance 1, unlike `x`."""
    x = x / math.sqrt(1 + sigmas[0] ** 2)
    for sigma, time in zip(sigmas, scheduler.timesteps, strict=False):
        exploding = x * math.sqrt(1 + sigma**2)
        x = scheduler.step((exploding - VE(exploding, sigma)) / sigma, time, x, return_dict=False, **extra)[0]
    return x


def levels_of(scheduler):
    """The noise levels of a scheduler's timesteps, and 0."""
    signal = scheduler.alphas_cumprod[scheduler.timesteps].double()
    return [*((1 - signal) / signal).sqrt().tolist(), 0.0]


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_ddim_is_that_of_diffusers(monkeypatch, eta):
    diffusers = pytest.importorskip("diffusers")
    scheduler = diffusers.DDIMScheduler(clip_sample=False, set_alpha_to_one=True, **TRAINED)
    scheduler.set_timesteps(10)
    sigmas, x = levels_of(scheduler), 20 * latents()
    tape = NoiseTape(x)
    monkeypatch.setattr("diffusers.schedulers.scheduling_ddim.randn_tensor", lambda *_, **__: tape(0.0, 0.0))
    expected = variance_preserving_result(scheduler, x, sigmas, eta=eta)
    torch.testing.assert_close(sample("ddim", VE, x, sigmas, eta=eta), expected.double(), **AGREEMENT)


def test_ddpm_is_that_of_diffusers(monkeypatch):
    diffusers = pytest.importorskip("diffusers")
    scheduler = diffusers.DDPMScheduler(clip_sample=False, **TRAINED)
    scheduler.set_timesteps(10)
    sigmas, x = levels_of(scheduler), 20 * latents()
    tape = NoiseTape(x)
    monkeypatch.setattr("diffusers.schedulers.scheduling_ddpm.randn_tensor", lambda *_, **__: tape(0.0, 0.0))
    expected = variance_preserving_result(scheduler, x, sigmas)
    torch.testing.assert_close(sample("ddpm", VE, x, sigmas), expected.double(), **AGREEMENT)


def test_lcm_is_that_of_diffusers(monkeypatch):
    diffusers = pytest.importorskip("diffusers")
    scheduler = diffusers.LCMScheduler(clip_sample=False, **TRAINED)
    scheduler.set_timesteps(6)
    sigmas, x = levels_of(scheduler), 20 * latents()
    tape = NoiseTape(x)
    monkeypatch.setattr("diffusers.schedulers.scheduling_lcm.randn_tensor", lambda *_, **__: tape(0.0, 0.0))
    expected = variance_preserving_result(scheduler, x, sigmas)
    torch.testing.assert_close(sample("lcm", VE, x, sigmas), expected.double(), **AGREEMENT)


def test_lcm_of_a_flow_model_is_that_of_diffusers(monkeypatch):
    diffusers = pytest.importorskip("diffusers")
    scheduler = diffusers.FlowMatchLCMScheduler(shift=3.0)
    scheduler.set_timesteps(6)
    sigmas, x, flow = scheduler.sigmas.tolist(), latents(), Mixture("flow").denoise
    tape = NoiseTape(x)
    monkeypatch.setattr(
        "diffusers.schedulers.scheduling_flow_match_lcm.randn_tensor", lambda *_, **__: tape(0.0, 0.0)
    )
    expected = x
    for sigma, time in zip(sigmas, scheduler.timesteps, strict=False):
        velocity = (expected - flow(expected, sigma)) / sigma
        expected = scheduler.step(velocity, time, expected, return_dict=False)[0]
    torch.testing.assert_close(sample("lcm", flow, x, sigmas, "flow"), expected.double(), **AGREEMENT)


@pytest.mark.parametrize(
    ("name", "peer"),
    [("dpm_2", "KDPM2DiscreteScheduler"), ("dpm_2_ancestral", "KDPM2AncestralDiscreteScheduler")],
)
def test_dpm_2_is_that_of_diffusers(monkeypatch, name, peer):
    diffusers = pytest.importorskip("diffusers")
    scheduler = getattr(diffusers, peer)(use_karras_sigmas=True, **TRAINED)
    scheduler.set_timesteps(10)
    sigmas = list(dict.fromkeys(scheduler.sigmas.tolist()))
    x = expected = sigmas[0] * latents()
    tape = NoiseTape(x)
    monkeypatch.setattr(
        "diffusers.schedulers.scheduling_k_dpm_2_ancestral_discrete.randn_tensor",
        lambda *_, **__: tape(0.0, 0.0),
    )
    asked = []
    sample(name, lambda x, sigma: asked.append(sigma) or VE(x, sigma), x, sigmas)
    for sigma, time in zip(asked, scheduler.timesteps, strict=True):
        scheduler.scale_model_input(expected, time)
        expected = scheduler.step((expected - VE(expected, sigma)) / sigma, time, expected)[0]
    torch.testing.assert_close(sample(name, VE, x, sigmas), expected.double(), **AGREEMENT)


@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
def test_ddim_of_a_variance_exploding_model_is_euler_a(eta):
    sigmas, x = levels("variance_exploding", 8), 14 * latents()
    ancestral = sample("euler_ancestral", VE, x, sigmas, eta=eta, s_noise=1.02)
    torch.testing.assert_close(sample("ddim", VE, x, sigmas, eta=eta, s_noise=1.02), ancestral)


def test_ddpm_of_a_flow_model_draws_from_the_posterior_of_its_noising():
    sigma, sigma_next, picture = 0.8, 0.5, torch.full((1, 200_000), 0.6, dtype=torch.float64)
    noise, fresh = (torch.randn(picture.shape, dtype=torch.float64) for _ in range(2))
    x_next = (1 - sigma_next) * picture + sigma_next * noise
    scale = (1 - sigma) / (1 - sigma_next)
    x = scale * x_next + math.sqrt(sigma**2 - (scale * sigma_next) ** 2) * fresh
    drawn = sample("ddpm", lambda x, sigma: picture, x, [sigma, sigma_next], "flow")
    joint, expected = (torch.corrcoef(torch.cat((x, other)))[0, 1] for other in (drawn, x_next))
    assert float(joint) == pytest.approx(float(expected), abs=0.01)
    assert float(drawn.std()) == pytest.approx(sigma_next, rel=0.01)


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("eta", [0.0, 0.7])
def test_cfg_pp_without_guidance_is_ddim(convention, eta):
    sigmas, denoise = levels(convention, 8), Mixture(convention).denoise
    x = sigmas[0] * latents()
    expected = sample("ddim", denoise, x, sigmas, convention, eta=eta)
    for name in ("euler_cfg_pp", "euler_ancestral_cfg_pp", "ddim_cfg_pp"):
        torch.testing.assert_close(sample(name, denoise, x, sigmas, convention, eta=eta), expected)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_cfg_pp_takes_the_picture_of_the_guided_estimate_and_the_noise_of_the_unconditional(convention):
    sigma, sigma_next = (0.8, 0.3) if convention == "flow" else (5.0, 2.0)
    alpha, alpha_next = (0.2, 0.7) if convention == "flow" else (1.0, 1.0)
    x, guided, unconditional = (latents(seed=seed) for seed in (1, 2, 3))
    noise = (x - alpha * unconditional) / sigma
    found = sample(
        "euler_cfg_pp",
        lambda x, sigma: guided,
        x,
        [sigma, sigma_next],
        convention,
        unconditional=lambda x, sigma: unconditional,
    )
    torch.testing.assert_close(found, alpha_next * guided + sigma_next * noise)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_ddim_cfg_pp_divides_the_guidance_scale_by_12_5_as_a1111_does(convention):
    sigmas, data = levels(convention, 8), Mixture(convention)
    x = sigmas[0] * latents()

    def drawn(name, scale):
        def unconditional(x, sigma):
            return data.denoise(0.9 * x, sigma)

        def guided(x, sigma):
            return torch.lerp(unconditional(x, sigma), data.denoise(x, sigma), scale)

        return sample(name, guided, x, sigmas, convention, unconditional=unconditional)

    torch.testing.assert_close(drawn("ddim_cfg_pp", 7.5), drawn("euler_cfg_pp", 0.6))


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_restart_of_few_steps_is_heun(convention):
    sigmas, denoise = levels(convention, 19), Mixture(convention).denoise
    x = sigmas[0] * latents()
    expected = sample("heun", denoise, x, sigmas, convention)
    assert torch.equal(sample("restart", denoise, x, sigmas, convention), expected)


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize(("steps", "returns", "each"), [(20, 1, 9), (35, 1, 9), (36, 2, 9), (50, 2, 12)])
def test_restart_spends_some_of_its_steps_on_returns_to_a_noisy_level(convention, steps, returns, each):
    sigmas = schedule("karras", steps, noise_schedule(convention))
    x, asked, shown = sigmas[0] * latents(), [], []

    def denoise(x, sigma):
        asked.append(sigma)
        return Mixture(convention).denoise(x, sigma)

    sample("restart", denoise, x, sigmas, convention, on_step=lambda index, *_: shown.append(index))
    assert shown == list(range(steps))
    rises = [(low, high) for low, high in pairwise(asked) if high > low]
    assert len(rises) == returns
    low, high = (level / (1 - level) if convention == "flow" else level for level in rises[0])
    assert low == pytest.approx(0.1, rel=0.5)
    assert high == pytest.approx(2.0, rel=0.5)
    start, end = (len(asked) - 1 - asked[::-1].index(level) for level in reversed(rises[-1]))
    assert end - start == 2 * each  # evaluations of the last return, and the first one after it


@pytest.mark.parametrize("step_noise", ["path", "brownian_tree"])
@pytest.mark.parametrize("convention", CONVENTIONS)
def test_restart_returns_with_other_noise_each_time_whatever_draws_it(convention, step_noise):
    if step_noise == "brownian_tree":
        pytest.importorskip("torchsde")
    sigmas = schedule("karras", 40, noise_schedule(convention))
    settings = NoiseSettings(seeds=(5,), step_noise=step_noise)
    source = ImageNoise(settings, (1, 32, 32), "cpu", (sigmas[-2], sigmas[0]))
    x, drawn = sigmas[0] * source.initial(), []

    def noise(*interval):
        drawn.append(source(*interval))
        return drawn[-1]

    sample("restart", Mixture(convention).denoise, x, sigmas, convention, noise=noise)
    first, second = drawn
    assert abs(float(torch.corrcoef(torch.stack((first, second)).flatten(1))[0, 1])) < 0.15


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize(("name", "order"), [("heunpp2", 1), ("restart", 2), ("ddim", 1), ("dpm_2", 2)])
def test_methods_converge_at_their_order(name, order, convention):
    data, start = Gaussian(convention), start_of(convention)
    x = data.noisy(start, 32)

    def error(steps):
        sigmas = [start + i / steps * (0.3 - start) for i in range(steps + 1)]
        found = sample(name, data.denoise, x, sigmas, convention)
        return float((found - data.transported(x, start, 0.3)).abs().max())

    few, many = (9, 18) if name == "restart" else (256, 512)  # below the number that brings returns
    assert order - 0.3 < math.log2(error(few) / error(many)) < order + 0.6


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_heunpp2_errs_less_than_euler(convention):
    data, start = Gaussian(convention), start_of(convention)
    x = data.noisy(start, 32)
    sigmas = [start + i / 30 * (0.3 - start) for i in range(31)]
    exact = data.transported(x, start, 0.3)
    errors = {
        name: float((sample(name, data.denoise, x, sigmas, convention) - exact).abs().max())
        for name in ("heunpp2", "euler")
    }
    assert errors["heunpp2"] < errors["euler"]
