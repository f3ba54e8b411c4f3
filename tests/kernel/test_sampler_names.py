"""How one text is split into sampler and scheduler, on a few entries made for it."""

from __future__ import annotations

import time

import pytest

from sfumato.errors import UnknownName
from sfumato.registries import Registries
from sfumato.sampler_names import resolve_sampler


@pytest.fixture
def registries():
    filled = Registries()
    samplers = filled.samplers.registrar("test")
    samplers.add(
        "solver", len, label="Solver++ 2M", aliases=("k_solver", "SolverScheduler", "FlowSolverScheduler")
    )
    samplers.add("solver_sde", len, label="Solver++ 2M SDE")
    samplers.add("ddim", len, label="DDIM")
    samplers.commit()
    schedulers = filled.schedulers.registrar("test")
    schedulers.add("automatic", len, label="Automatic")
    schedulers.add("karras", len, label="Karras", aliases=("ka",))
    schedulers.add("sgm_uniform", len, label="SGM Uniform")
    schedulers.add("uniform", len, label="Uniform")
    schedulers.add("sde_karras", len, label="SDE Karras")
    schedulers.add("ddim", len, label="DDIM")
    schedulers.add("flow", len, label="Flow", aliases=("FlowSolverScheduler",))
    schedulers.commit()
    return filled


@pytest.fixture
def resolved(registries):
    """The names that a text, and a scheduler given beside it, stand for."""

    def resolve(sampler, scheduler=None):
        pair = resolve_sampler(registries.samplers, registries.schedulers, sampler, scheduler)
        return tuple(entry.info.name if entry else None for entry in pair)

    return resolve


@pytest.mark.parametrize(
    "spelling", ["solver", "Solver++ 2M", "k_solver", "SOLVERSCHEDULER", " solver++ 2m "]
)
def test_a_sampler_s_own_spelling_leaves_the_scheduler_open(resolved, spelling):
    assert resolved(spelling) == ("solver", None)


@pytest.mark.parametrize(
    "joined", ["Solver++ 2M Karras", "solver karras", "k_solver_ka", "SOLVER-KARRAS", "Solver++ 2M  Karras "]
)
def test_a_joined_name_is_a_sampler_and_a_scheduler(resolved, joined):
    assert resolved(joined) == ("solver", "karras")


def test_the_scheduler_of_a_joined_name_may_be_more_than_a_word(resolved):
    assert resolved("Solver++ 2M SGM Uniform") == ("solver", "sgm_uniform")
    assert resolved("solver_sgm_uniform") == ("solver", "sgm_uniform")


def test_the_longest_sampler_wins(resolved):
    assert resolved("Solver++ 2M SDE Karras") == ("solver_sde", "karras")
    assert resolved("solver_sde") == ("solver_sde", None)


@pytest.mark.parametrize("open_word", ["automatic", "Automatic", "", None])
def test_automatic_and_nothing_leave_the_scheduler_open(resolved, open_word):
    assert resolved("solver", open_word) == ("solver", None)
    assert resolved("solver karras", open_word) == ("solver", "karras")
    assert resolved("Solver++ 2M Automatic", open_word) == ("solver", None)


def test_a_scheduler_given_on_its_own_wins_over_a_joined_one(resolved):
    assert resolved("Solver++ 2M Karras", "Uniform") == ("solver", "uniform")
    assert resolved("FlowSolverScheduler", "ka") == ("solver", "karras")


def test_a_class_name_known_to_both_stands_for_the_pair(resolved):
    assert resolved("flowsolverscheduler") == ("solver", "flow")
    assert resolved("SolverScheduler") == ("solver", None)


def test_a_sampler_and_a_scheduler_of_one_name_are_still_two_choices(resolved):
    assert resolved("ddim") == ("ddim", None)
    assert resolved("DDIM DDIM") == ("ddim", "ddim")


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("solvr", "solver"),
        ("Solver++ 2M Karas", "Solver++ 2M Karras"),
        ("solver sgm_unifrm", "Solver++ 2M SGM Uniform"),
        ("Solver++ 3M SDE", "Solver++ 2M SDE"),
        ("FlowSolvingScheduler", "FlowSolverScheduler"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(resolved, name, nearest):
    with pytest.raises(UnknownName) as caught:
        resolved(name)
    assert caught.value.nearest[0] == nearest
    assert (caught.value.kind, caught.value.name) == ("sampler", name)


@pytest.mark.parametrize("name", ["", " ", "karras", "_karras", "Karras solver"])
def test_a_scheduler_alone_is_no_sampler(resolved, name):
    with pytest.raises(UnknownName):
        resolved(name)


def test_a_scheduler_given_as_sampler_is_called_one(resolved):
    with pytest.raises(UnknownName, match="'SGM Uniform' is a scheduler"):
        resolved("SGM Uniform")


def test_an_unknown_scheduler_is_answered_with_the_nearest(resolved):
    with pytest.raises(UnknownName) as caught:
        resolved("Solver++ 2M Karras", "unifrm")
    assert (caught.value.kind, caught.value.nearest[0]) == ("scheduler", "Uniform")


@pytest.mark.parametrize("name", ["x" * 100_000, "solver " * 20_000, "é_" * 50_000])
def test_a_very_long_name_is_cut_and_answered_at_once(resolved, name):
    for names in ((name,), ("solver", name)):
        start = time.perf_counter()
        with pytest.raises(UnknownName) as caught:
            resolved(*names)
        assert time.perf_counter() - start < 0.5
        assert len(str(caught.value)) < 1000
