"""Fresh noise keeps the variance that a noise level promises, in both conventions."""

from __future__ import annotations

import math

import pytest
import torch

from sfumato.testing.analytic import CONVENTIONS, Gaussian
from sfumato_samplers.renoise import ancestral_split, ancestral_step

from .analytic import INFOS, NoiseTape, sample

DRAWS = 60_000
LEVELS = {
    "variance_exploding": [14.6, 6.0, 2.5, 1.0, 0.4],
    "flow": [1.0, 0.9, 0.72, 0.5, 0.3],
}
WITH_ETA = [info.name for info in INFOS if any(option.name == "eta" for option in info.options)]
WITH_NOISE = [
    *((name, {"eta": eta}) for name in WITH_ETA for eta in (0.4, 1.0)),
    ("dpmpp_2m_sde", {"eta": 1.0, "solver_type": "heun"}),
    *((name, {"s_churn": 2.0}) for name in ("euler", "heun", "heunpp2", "dpm_2")),
    ("restart", {}),
]


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize(("name", "options"), [*WITH_NOISE, ("lcm", {})])
def test_a_single_known_picture_is_left_with_exactly_the_noise_of_the_last_level(convention, name, options):
    point = Gaussian(convention, deviation=0.0)
    sigmas = LEVELS[convention]
    found = sample(name, point.denoise, point.noisy(sigmas[0], DRAWS), sigmas, convention, **options)
    alpha = 1 - sigmas[-1] if convention == "flow" else 1
    assert float(found.std()) == pytest.approx(sigmas[-1], rel=0.015)
    assert float(found.mean()) == pytest.approx(alpha * point.mean, abs=0.01)


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize(("name", "options"), WITH_NOISE)
def test_normal_data_comes_out_with_its_own_spread(convention, name, options):
    data = Gaussian(convention)
    start = LEVELS[convention][0]
    sigmas = [start * (1 - i / 150) ** (1 if convention == "flow" else 3) for i in range(151)]
    x = data.noisy(start, 20_000)
    exact = {"rtol": 0.001, "atol": 0.0001} if name == "dpm_adaptive" else {}
    found = sample(name, data.denoise, x, sigmas, convention, noise=NoiseTape(x), **options, **exact)
    assert float(found.std()) == pytest.approx(data.deviation, rel=0.04)
    assert float(found.mean()) == pytest.approx(data.mean, abs=0.03)


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("name", WITH_ETA)
def test_without_eta_no_noise_is_drawn(convention, name):
    data = Gaussian(convention)
    x = data.noisy(LEVELS[convention][0], 8)
    tape = NoiseTape(x)
    sample(name, data.denoise, x, LEVELS[convention], convention, noise=tape, eta=0.0)
    assert tape.intervals == []


def test_two_draws_with_other_seeds_differ():
    data = Gaussian("flow")
    x = data.noisy(1.0, 8)
    first, second = (
        sample("euler_ancestral", data.denoise, x, LEVELS["flow"], "flow", noise=NoiseTape(x, seed))
        for seed in (1, 2)
    )
    assert not torch.allclose(first, second)


@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0, 2.0])
@pytest.mark.parametrize(("sigma", "target"), [(14.6, 9.0), (1.0, 0.999), (0.03, 0.001)])
def test_an_ancestral_split_adds_up_to_the_target_variance(eta, sigma, target):
    down, up = ancestral_split(sigma, target, eta)
    assert math.hypot(down, up) == pytest.approx(target)
    assert 0 <= down <= target


@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0, 2.0])
@pytest.mark.parametrize(("sigma", "target"), [(1.0, 0.95), (0.9, 0.2), (0.05, 0.0)])
def test_a_flow_step_is_rescaled_so_that_noise_and_picture_reach_the_target(eta, sigma, target):
    down, scale, added = ancestral_step(sigma, target, eta, "flow")
    assert scale * (1 - down) == pytest.approx(1 - target)
    assert math.hypot(scale * down, added) == pytest.approx(target)


def test_a_full_ancestral_flow_step_goes_down_by_the_square_of_the_ratio():
    down, scale, added = ancestral_step(0.8, 0.6, 1.0, "flow")
    assert down == pytest.approx(0.45)
    assert scale == pytest.approx(0.4 / 0.55)
    assert added == pytest.approx(math.sqrt(0.36 - (0.45 * 0.4 / 0.55) ** 2))
