"""Order of convergence, measured against the exact trajectories of normal data."""

from __future__ import annotations

import math

import pytest

from sfumato.testing.analytic import CONVENTIONS, Gaussian

from .analytic import sample

SOLVERS = [
    ("euler", {}, 1),
    ("euler_ancestral", {"eta": 0.0}, 1),
    ("heun", {}, 2),
    ("dpmpp_2m", {}, 2),
    ("dpmpp_sde", {"eta": 0.0}, 2),
    ("dpmpp_2m_sde", {"eta": 0.0}, 2),
    ("dpmpp_2m_sde", {"eta": 0.0, "solver_type": "heun"}, 2),
    ("dpmpp_2s_ancestral", {"eta": 0.0}, 2),
    ("lms", {"order": 2}, 2),
    ("ipndm", {"order": 2}, 2),
    ("ipndm_v", {"order": 2}, 2),
    ("deis", {"order": 2}, 2),
    ("deis", {"order": 2, "interpolation": "log_ratio"}, 2),
    ("gradient_estimation", {}, 1),
    ("res_multistep", {}, 2),
    ("er_sde", {"eta": 0.0}, 2),
    ("uni_pc", {"order": 1}, 2),
    ("uni_pc_bh2", {"order": 1}, 2),
]
# with short steps at both ends, where these are still, or again, of low order
HIGH_ORDER_SOLVERS = [
    *((name, {"order": order}, order) for name in ("lms", "ipndm_v", "deis") for order in (3, 4)),
    ("deis", {"order": 4, "interpolation": "log_ratio"}, 4),
    *((name, {"order": order}, order + 1) for name in ("uni_pc", "uni_pc_bh2") for order in (2, 3)),
    ("dpmpp_3m_sde", {"eta": 0.0}, 2),
]


def levels(convention, steps, start, end, spread=lambda t: t):
    """Levels equally spaced in sigma for flow models, in its logarithm for others, moved by `spread`."""
    ramp = [spread(i / steps) for i in range(steps + 1)]
    if convention == "flow":
        return [start + t * (end - start) for t in ramp]
    return [math.exp(math.log(start) + t * math.log(end / start)) for t in ramp]


def eased(t):
    return t * t * (3 - 2 * t)


def error(name, options, data, sigmas):
    x = data.noisy(sigmas[0], 32)
    found = sample(name, data.denoise, x, sigmas, data.convention, **options)
    return float((found - data.transported(x, sigmas[0], sigmas[-1])).abs().max())


def measured_order(name, options, data, coarse, fine):
    """From the errors on two sets of levels, the second with half the steps' length."""
    return math.log2(error(name, options, data, coarse) / error(name, options, data, fine))


def range_of(convention):
    return (0.95, 0.1) if convention == "flow" else (10.0, 0.1)


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize(("name", "options", "order"), SOLVERS)
def test_solvers_converge_at_their_order(convention, name, options, order):
    coarse, fine = (levels(convention, steps, *range_of(convention)) for steps in (64, 128))
    found = measured_order(name, options, Gaussian(convention), coarse, fine)
    assert order - 0.25 < found < order + 0.5


@pytest.mark.parametrize(("name", "options", "order"), SOLVERS)
def test_solvers_keep_their_order_from_pure_noise_to_the_picture(name, options, order):
    coarse, fine = (levels("flow", steps, 1.0, 0.0) for steps in (128, 256))
    assert order - 0.3 < measured_order(name, options, Gaussian("flow"), coarse, fine) < order + 0.5


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize(("name", "options", "order"), HIGH_ORDER_SOLVERS)
def test_multistep_solvers_reach_the_order_of_their_memory(convention, name, options, order):
    coarse, fine = (levels(convention, steps, *range_of(convention), eased) for steps in (128, 256))
    found = measured_order(name, options, Gaussian(convention), coarse, fine)
    assert order - 0.25 < found < order + 0.5


def test_plms_is_of_third_order_on_equal_steps_after_its_second_order_start():
    coarse, fine = (levels("flow", steps, 0.95, 0.1) for steps in (64, 128))
    assert 2.75 < measured_order("plms", {}, Gaussian("flow"), coarse, fine) < 3.5


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_second_order_solvers_are_more_exact_than_euler_at_twenty_steps(convention):
    sigmas = levels(convention, 20, 1.0 if convention == "flow" else 10.0, 0.05)
    errors = {name: error(name, options, Gaussian(convention), sigmas) for name, options, _ in SOLVERS}
    assert max(errors[name] for name in ("heun", "dpmpp_2m", "dpmpp_sde")) < errors["euler"] / 2
