"""Noise schedules: what they promise, and the values ComfyUI and Forge compute."""

from __future__ import annotations

import itertools
import math

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfumato.noise_schedule import NoiseSchedule, flow_schedule, shift_sigma, unshift_sigma
from sfumato_samplers.schedules.beta_distribution import beta_cdf, beta_quantile

from .analytic import CONVENTIONS, noise_schedule, schedule

ANY_MODEL = ("karras", "simple", "normal", "beta")
TABLES = {convention: noise_schedule(convention) for convention in CONVENTIONS}


def check_levels(levels, steps):
    assert len(levels) == steps + 1
    assert all(math.isfinite(level) for level in levels)
    assert all(high > low for high, low in itertools.pairwise(levels))
    assert levels[-1] == 0


@given(st.sampled_from(ANY_MODEL), st.sampled_from(CONVENTIONS), st.integers(1, 50))
def test_levels_descend_strictly_from_the_highest_to_zero(name, convention, steps):
    levels = schedule(name, steps, TABLES[convention])
    check_levels(levels, steps)
    assert levels[0] == pytest.approx(TABLES[convention].sigma_max)


@given(st.integers(1, 50), st.floats(0.1, 20))
def test_flow_levels_descend_strictly_under_any_shift(steps, shift):
    levels = schedule("flow", steps, TABLES["flow"], shift=shift)
    check_levels(levels, steps)
    assert levels[0] == 1


@pytest.mark.parametrize("steps", [333, 1000])
@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("name", ANY_MODEL)
def test_levels_stay_distinct_for_as_many_steps_as_a_request_may_ask(name, convention, steps):
    check_levels(schedule(name, steps, TABLES[convention]), steps)


@given(st.floats(0.3, 5), st.floats(0.3, 5), st.integers(1, 60))
def test_beta_levels_descend_strictly_for_any_shapes(alpha, beta, steps):
    check_levels(schedule("beta", steps, TABLES["flow"], alpha=alpha, beta=beta), steps)


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("steps", [1, 7, 20, 30])
def test_simple_takes_every_so_many_levels_of_the_table(convention, steps):
    table = numpy.array(TABLES[convention].sigmas)[::-1]
    expected = table[(numpy.arange(steps) * (1000 / steps)).astype(int)]
    assert schedule("simple", steps, TABLES[convention]) == [*expected, 0.0]


@pytest.mark.parametrize("steps", [2, 9, 20])
def test_normal_spaces_timesteps_evenly_to_the_lowest_level(steps):
    table = TABLES["variance_exploding"].sigmas
    expected = numpy.exp(numpy.interp(numpy.linspace(999, 0, steps), numpy.arange(1000), numpy.log(table)))
    numpy.testing.assert_allclose(
        schedule("normal", steps, TABLES["variance_exploding"]), [*expected, 0], rtol=1e-12
    )


def test_normal_does_not_end_twice_where_the_table_itself_ends_without_noise():
    table = NoiseSchedule("variance_exploding", tuple(numpy.geomspace(1e-6, 10, 1000)))
    levels = schedule("normal", 5, table)
    check_levels(levels, 5)
    assert levels[-2] == pytest.approx(table.sigma(999 / 5))


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("steps", [1, 8, 20, 50])
def test_beta_takes_the_levels_comfyui_and_forge_take(convention, steps):
    stats = pytest.importorskip("scipy.stats")
    quantiles = stats.beta.ppf(1 - numpy.linspace(0, 1, steps, endpoint=False), 0.6, 0.6)
    expected = numpy.array(TABLES[convention].sigmas)[numpy.rint(quantiles * 999).astype(int)]
    assert schedule("beta", steps, TABLES[convention]) == [*expected, 0.0]


@pytest.mark.parametrize(
    ("a", "b"), [(0.6, 0.6), (0.3, 5.0), (1.0, 1.0), (2.5, 0.7), (5.0, 5.0), (30.0, 2.0)]
)
def test_beta_quantiles_are_those_of_scipy(a, b):
    special = pytest.importorskip("scipy.special")
    for p in (1e-9, 1e-4, 0.01, 0.1, 0.37, 0.5, 0.8, 0.99, 1 - 1e-6):
        expected = special.betaincinv(a, b, p)
        assert beta_quantile(p, a, b) == pytest.approx(expected, rel=1e-10, abs=1e-13)
        assert beta_cdf(expected, a, b) == pytest.approx(special.betainc(a, b, expected), rel=1e-11)


def test_beta_quantiles_end_at_zero_and_one():
    assert (beta_quantile(0.0, 0.6, 0.6), beta_quantile(1.0, 0.6, 0.6)) == (0.0, 1.0)


def test_the_flow_scheduler_takes_the_shift_of_the_model():
    assert schedule("flow", 4, flow_schedule(shift=3.0)) == pytest.approx([1, 0.9, 0.75, 0.5, 0])


@given(st.floats(0, 1), st.floats(0.1, 20))
def test_a_shift_keeps_levels_within_zero_and_one_and_can_be_undone(sigma, shift):
    shifted = shift_sigma(sigma, shift)
    assert 0 <= shifted <= 1
    assert unshift_sigma(shifted, shift) == pytest.approx(sigma)


@given(st.sampled_from(CONVENTIONS), st.floats(0, 999))
def test_a_level_finds_its_timestep_again(convention, timestep):
    table = TABLES[convention]
    assert table.timestep(table.sigma(timestep)) == pytest.approx(timestep, abs=1e-6)
