"""Order of convergence, measured against the exact trajectories of normal data."""

from __future__ import annotations

import math

import pytest

from .analytic import CONVENTIONS, Gaussian, sample

SOLVERS = [
    ("euler", {}, 1),
    ("euler_ancestral", {"eta": 0.0}, 1),
    ("heun", {}, 2),
    ("dpmpp_2m", {}, 2),
    ("dpmpp_sde", {"eta": 0.0}, 2),
    ("dpmpp_2m_sde", {"eta": 0.0}, 2),
    ("dpmpp_2m_sde", {"eta": 0.0, "solver_type": "heun"}, 2),
]


def levels(convention, steps, start, end):
    """Levels equally spaced in sigma for flow models, in its logarithm for others."""
    ramp = [i / steps for i in range(steps + 1)]
    if convention == "flow":
        return [start + t * (end - start) for t in ramp]
    return [math.exp(math.log(start) + t * math.log(end / start)) for t in ramp]


def error(name, options, data, steps, start, end):
    x = data.noisy(start, 32)
    sigmas = levels(data.convention, steps, start, end)
    found = sample(name, data.denoise, x, sigmas, data.convention, **options)
    return float((found - data.transported(x, start, sigmas[-1])).abs().max())


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize(("name", "options", "order"), SOLVERS)
def test_solvers_converge_at_their_order(convention, name, options, order):
    data = Gaussian(convention)
    start, end = (0.95, 0.1) if convention == "flow" else (10.0, 0.1)
    coarse, fine = (error(name, options, data, steps, start, end) for steps in (64, 128))
    assert order - 0.25 < math.log2(coarse / fine) < order + 0.5


@pytest.mark.parametrize(("name", "options", "order"), SOLVERS)
def test_solvers_keep_their_order_from_pure_noise_to_the_picture(name, options, order):
    data = Gaussian("flow")
    coarse, fine = (error(name, options, data, steps, 1.0, 0.0) for steps in (128, 256))
    assert order - 0.3 < math.log2(coarse / fine) < order + 0.5


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_second_order_solvers_are_more_exact_than_euler_at_twenty_steps(convention):
    data = Gaussian(convention)
    start = 1.0 if convention == "flow" else 10.0
    errors = {name: error(name, options, data, 20, start, 0.05) for name, options, _ in SOLVERS}
    assert max(errors[name] for name in ("heun", "dpmpp_2m", "dpmpp_sde")) < errors["euler"] / 2
