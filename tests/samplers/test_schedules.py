"""Noise schedules: what they promise, and the values A1111, ComfyUI and Forge compute."""

from __future__ import annotations

import itertools
import math

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfumato.errors import BadInput
from sfumato.noise_schedule import NoiseSchedule, flow_schedule, shift_sigma, unshift_sigma
from sfumato.testing.analytic import CONVENTIONS
from sfumato_samplers.schedules.align_your_steps import ALIGN_YOUR_STEPS, FINE, GITS
from sfumato_samplers.schedules.beta_distribution import beta_cdf, beta_quantile

from .analytic import noise_schedule, registries, schedule

INFOS = {entry.info.name: entry.info for entry in registries().schedulers}
TABLES = {convention: noise_schedule(convention) for convention in CONVENTIONS}
TABLES_BY_PREDICTION = {"eps": "variance_exploding", "v": "variance_exploding", "flow": "flow"}
CASES = sorted(
    {(name, TABLES_BY_PREDICTION[kind]) for name, info in INFOS.items() for kind in info.predictions}
)
WITH_RANGE = tuple(name for name, info in INFOS.items() if "sigma_min" in {o.name for o in info.options})
OWN_TOP = ("ddim", "align_your_steps", "align_your_steps_gits", "align_your_steps_32")
DIVISORS_OF_1000 = (1, 2, 4, 5, 8, 10, 20, 25, 40, 50, 100, 500, 1000)


def check_levels(levels, steps):
    assert len(levels) == steps + 1
    assert all(math.isfinite(level) for level in levels)
    assert all(high > low for high, low in itertools.pairwise(levels))
    assert levels[-1] == 0


@given(st.sampled_from(CASES), st.integers(1, 60))
def test_levels_descend_strictly_to_zero(case, steps):
    name, convention = case
    check_levels(schedule(name, steps, TABLES[convention]), steps)


@pytest.mark.parametrize("steps", [333, 501, 999, 1000])
@pytest.mark.parametrize(("name", "convention"), CASES)
def test_levels_stay_distinct_for_as_many_steps_as_a_request_may_ask(name, convention, steps):
    check_levels(schedule(name, steps, TABLES[convention]), steps)


@pytest.mark.parametrize("steps", [1, 2, 20])
@pytest.mark.parametrize(("name", "convention"), [case for case in CASES if case[0] not in OWN_TOP])
def test_levels_start_at_the_highest_trained_one(name, convention, steps):
    levels = schedule(name, steps, TABLES[convention])
    assert levels[0] == pytest.approx(TABLES[convention].sigma_max, rel=1e-12)


@pytest.mark.parametrize("name", [name for name, kind in CASES if kind == "flow" and name not in OWN_TOP])
def test_levels_of_a_flow_model_start_at_pure_noise_exactly(name):
    for shift in (1.0, 3.0, 3.1581929):
        assert schedule(name, 20, flow_schedule(shift))[0] == 1


@given(st.integers(1, 50), st.floats(0.1, 20))
def test_flow_levels_descend_strictly_under_any_shift(steps, shift):
    levels = schedule("flow", steps, TABLES["flow"], shift=shift)
    check_levels(levels, steps)
    assert levels[0] == 1


@given(st.sampled_from(sorted(INFOS)), st.sampled_from(CONVENTIONS), st.integers(1, 30))
def test_a_schedule_suits_the_models_its_description_says_and_refuses_others(name, convention, steps):
    if (name, convention) in CASES:
        check_levels(schedule(name, steps, TABLES[convention]), steps)
    else:
        with pytest.raises(BadInput, match=r"not suit this model.*Choose"):
            schedule(name, steps, TABLES[convention])


@given(st.data(), st.sampled_from(CASES), st.integers(1, 40))
def test_levels_descend_strictly_at_the_bounds_of_every_option(data, case, steps):
    name, convention = case
    given = {}
    for option in INFOS[name].options:
        if option.name not in ("sigma_min", "sigma_max"):
            given[option.name] = data.draw(
                st.sampled_from(option.choices or (option.minimum, option.maximum))
            )
    given |= {"shift": max(given["shift"], 0.1)} if "shift" in given else {}
    check_levels(schedule(name, steps, TABLES[convention], **given), steps)


@pytest.mark.parametrize("rho", [0.1, 4])
def test_polyexponential_levels_stay_distinct_in_a_thousand_steps_at_the_bounds_of_rho(rho):
    check_levels(schedule("polyexponential", 1000, TABLES["variance_exploding"], rho=rho), 1000)


@pytest.mark.parametrize("name", WITH_RANGE)
def test_the_ends_of_a_schedule_can_be_given(name):
    levels = schedule(name, 6, TABLES["variance_exploding"], sigma_min=0.1, sigma_max=10.0)
    check_levels(levels, 6)
    assert levels[0] == pytest.approx(10)
    if name != "kl_optimal":
        assert levels[-2] == pytest.approx(0.1)
    assert schedule(name, 6, TABLES["variance_exploding"], sigma_max=10.0)[-2] < levels[-2]


@pytest.mark.parametrize("name", WITH_RANGE)
def test_a_range_without_levels_between_its_ends_is_refused(name):
    with pytest.raises(BadInput, match=r"from noise level 1 to 2.*sigma_max"):
        schedule(name, 6, TABLES["variance_exploding"], sigma_min=2.0, sigma_max=1.0)


@pytest.mark.parametrize(("name", "given"), [("karras", {"rho": 100}), ("polyexponential", {"rho": 4})])
def test_the_narrowest_range_holds_a_thousand_levels(name, given):
    ends = {"sigma_min": 1.0, "sigma_max": 1.01}
    check_levels(schedule(name, 1000, TABLES["variance_exploding"], **ends, **given), 1000)
    with pytest.raises(BadInput, match="1% or more"):
        schedule(name, 1000, TABLES["variance_exploding"], sigma_min=1.0, sigma_max=1.009, **given)


@pytest.mark.parametrize("name", WITH_RANGE)
def test_a_flow_model_is_not_started_above_pure_noise(name):
    with pytest.raises(BadInput, match=r"cannot start at noise level 14\.6"):
        schedule(name, 6, TABLES["flow"], sigma_max=14.6)


@given(st.floats(0.3, 5), st.floats(0.3, 5), st.integers(1, 60))
def test_beta_levels_descend_strictly_for_any_shapes(alpha, beta, steps):
    for over in ("sigmas", "timesteps"):
        check_levels(schedule("beta", steps, TABLES["flow"], alpha=alpha, beta=beta, over=over), steps)


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("steps", [1, 7, 20, 30])
def test_simple_takes_every_so_many_levels_of_the_table(convention, steps):
    table = numpy.array(TABLES[convention].sigmas)[::-1]
    expected = table[(numpy.arange(steps) * (1000 / steps)).astype(int)]
    assert schedule("simple", steps, TABLES[convention]) == [*expected, 0.0]


@pytest.mark.parametrize("steps", [1, 2, 9, 20])
@pytest.mark.parametrize("name", ["automatic", "uniform", "normal", "sgm_uniform"])
def test_timesteps_are_spaced_evenly_to_the_lowest_level(name, steps):
    table = TABLES["variance_exploding"].sigmas
    times = numpy.linspace(999, 0, steps + 1)[:-1] if name == "sgm_uniform" else numpy.linspace(999, 0, steps)
    expected = numpy.exp(numpy.interp(times, numpy.arange(1000), numpy.log(table)))
    numpy.testing.assert_allclose(
        schedule(name, steps, TABLES["variance_exploding"]), [*expected, 0], rtol=1e-12
    )


@pytest.mark.parametrize("name", ["automatic", "uniform"])
def test_uniform_times_of_a_flow_model_end_at_its_lowest_level(name):
    levels = schedule(name, 10, TABLES["flow"])
    times = [unshift_sigma(level, TABLES["flow"].shift) for level in levels[:-1]]
    assert times == pytest.approx(numpy.linspace(1, 0.001, 10))


def test_sgm_uniform_is_comfyui_s_for_flow_models():
    times = numpy.linspace(1, TABLES["flow"].sigma_min, 11)[:-1]
    expected = 3 * times / (1 + 2 * times)
    assert schedule("sgm_uniform", 10, TABLES["flow"]) == pytest.approx([*expected, 0])


def test_normal_does_not_end_twice_where_the_table_itself_ends_without_noise():
    table = NoiseSchedule("variance_exploding", tuple(numpy.geomspace(1e-6, 10, 1000)))
    levels = schedule("normal", 5, table)
    check_levels(levels, 5)
    assert levels[-2] == pytest.approx(table.sigma(999 / 5))


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("steps", [1, 8, 20, 50])
def test_beta_over_timesteps_takes_the_levels_comfyui_takes(convention, steps):
    stats = pytest.importorskip("scipy.stats")
    quantiles = stats.beta.ppf(1 - numpy.linspace(0, 1, steps, endpoint=False), 0.6, 0.6)
    expected = numpy.array(TABLES[convention].sigmas)[numpy.rint(quantiles * 999).astype(int)]
    assert schedule("beta", steps, TABLES[convention], over="timesteps") == [*expected, 0.0]


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("steps", [1, 8, 20, 50])
def test_beta_over_noise_levels_takes_those_a1111_takes(convention, steps):
    stats = pytest.importorskip("scipy.stats")
    low, high = TABLES[convention].sigma_min, TABLES[convention].sigma_max
    expected = low + stats.beta.ppf(1 - numpy.linspace(0, 1, steps), 0.6, 0.4) * (high - low)
    numpy.testing.assert_allclose(
        schedule("beta", steps, TABLES[convention], beta=0.4), [*expected, 0], rtol=1e-9
    )


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


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("steps", [1, 9, 20])
def test_kl_optimal_steps_are_equal_in_the_arctangent(convention, steps):
    low, high = TABLES[convention].sigma_min, TABLES[convention].sigma_max
    expected = numpy.tan(numpy.linspace(math.atan(high), math.atan(low), steps + 1)[:-1])
    numpy.testing.assert_allclose(
        schedule("kl_optimal", steps, TABLES[convention]), [*expected, 0], rtol=1e-12
    )


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("steps", [step for step in DIVISORS_OF_1000 if step < 1000])
def test_ddim_takes_every_so_many_levels_from_the_second_lowest(convention, steps):
    expected = TABLES[convention].sigmas[1 :: 1000 // steps]
    assert schedule("ddim", steps, TABLES[convention]) == [*expected[::-1], 0.0]


@pytest.mark.parametrize("steps", [7, 15, 28, 30])
def test_ddim_leaves_out_the_levels_a1111_takes_beyond_the_steps_asked_for(steps):
    theirs = TABLES["variance_exploding"].sigmas[1 :: 1000 // steps]
    assert len(theirs) > steps
    assert schedule("ddim", steps, TABLES["variance_exploding"]) == [*theirs[:steps][::-1], 0.0]


@given(st.integers(2, 1000))
def test_ddim_starts_within_two_strides_of_the_top_for_any_number_of_steps(steps):
    table = TABLES["variance_exploding"]
    assert table.timestep(schedule("ddim", steps, table)[0]) >= 999 - 2 * 1000 / steps


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("steps", DIVISORS_OF_1000)
def test_turbo_takes_every_so_many_levels_from_the_top(convention, steps):
    expected = TABLES[convention].sigmas[:: -(1000 // steps)]
    assert schedule("turbo", steps, TABLES[convention]) == [*expected, 0.0]


@pytest.mark.parametrize("steps", [7, 16, 30])
def test_turbo_rounds_timesteps_as_forge_does(steps):
    times = numpy.round(numpy.arange(1, steps + 1) * (1000 / steps) - 1).astype(int)[::-1]
    expected = numpy.array(TABLES["variance_exploding"].sigmas)[times]
    assert schedule("turbo", steps, TABLES["variance_exploding"]) == [*expected, 0.0]


@given(st.integers(4, 100), st.floats(0.001, 0.3))
def test_linear_quadratic_removes_noise_evenly_then_ever_faster_without_a_kink(steps, threshold):
    levels = numpy.array(schedule("linear_quadratic", steps, TABLES["flow"], threshold=threshold))
    half = steps // 2
    assert levels[half] == pytest.approx(1 - threshold)
    removed = -numpy.diff(levels)
    assert removed[:half] == pytest.approx(threshold / half)
    growth = numpy.diff(removed[half:])
    assert growth == pytest.approx(growth[0], abs=1e-12)
    assert removed[half] - removed[half - 1] == pytest.approx(growth[0] / 2, abs=1e-12)


def test_linear_quadratic_scales_with_the_highest_level():
    expected = [14, 14 * 0.9875, 14 * 0.975, 14 * 0.725, 0]
    table = NoiseSchedule("variance_exploding", (0.1, 1.0, 14.0))
    assert schedule("linear_quadratic", 4, table) == pytest.approx(expected)


@pytest.mark.parametrize("table", ["sd15", "sdxl"])
@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("align_your_steps", ALIGN_YOUR_STEPS),
        ("align_your_steps_gits", GITS),
        ("align_your_steps_32", FINE),
    ],
)
def test_optimised_levels_are_the_table_and_geometric_means_between(name, published, table):
    levels = published[table]
    model = TABLES["variance_exploding"]
    assert schedule(name, len(levels), model, table=table) == pytest.approx([*levels, 0])
    finer = schedule(name, 2 * len(levels) - 1, model, table=table)
    assert finer[:-1:2] == pytest.approx(levels)
    means = [math.sqrt(high * low) for high, low in itertools.pairwise(levels)]
    assert finer[1:-1:2] == pytest.approx(means)
    assert schedule(name, 1, model, table=table) == pytest.approx([14.615, 0])


@given(st.floats(0, 1), st.floats(0.1, 20))
def test_a_shift_keeps_levels_within_zero_and_one_and_can_be_undone(sigma, shift):
    shifted = shift_sigma(sigma, shift)
    assert 0 <= shifted <= 1
    assert unshift_sigma(shifted, shift) == pytest.approx(sigma)


@given(st.sampled_from(CONVENTIONS), st.floats(0, 999))
def test_a_level_finds_its_timestep_again(convention, timestep):
    table = TABLES[convention]
    assert table.timestep(table.sigma(timestep)) == pytest.approx(timestep, abs=1e-6)
