"""The contract of schedulers."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any, ClassVar

import pytest

from sfumato.errors import BadInput
from sfumato.noise_schedule import NoiseSchedule
from sfumato.registry import Entry
from sfumato.sampling import SchedulerInfo
from sfumato.testing.analytic import CONVENTIONS, conventions_of, noise_schedules
from sfumato.testing.entries import EntryContract, extreme_values

STEPS = (1, 2, 3, 4, 5, 7, 10, 15, 20, 30, 50, 100, 250)
USUAL_STEPS = (10, 20, 30)
TABLES = [table for convention in CONVENTIONS for table in noise_schedules(convention)]


def spelled(table: NoiseSchedule) -> str:
    return f"{table.convention} of {len(table.sigmas)} levels, shift {table.shift:g}"


class SchedulerContract(EntryContract):
    """What a registered scheduler promises, for the tables of noise levels that current models have."""

    registry: ClassVar[str] = "schedulers"

    @pytest.fixture(params=TABLES, ids=spelled)
    def table(self, request: pytest.FixtureRequest) -> NoiseSchedule:
        chosen: NoiseSchedule = request.param
        return chosen

    def test_levels_fall_to_zero_in_as_many_steps_as_asked_for(
        self, entry: Entry[SchedulerInfo], table: NoiseSchedule, given_options: dict[str, Any]
    ) -> None:
        for steps in STEPS:
            check_levels(entry, steps, table, given_options)

    def test_it_serves_the_models_it_is_made_for(
        self, entry: Entry[SchedulerInfo], table: NoiseSchedule, given_options: dict[str, Any]
    ) -> None:
        if table.convention not in conventions_of(entry.info.predictions):
            pytest.skip(f"made for {', '.join(entry.info.predictions)} alone")
        for steps in USUAL_STEPS:
            sigmas = entry.load()(steps, table, given_options)
            assert len(sigmas) == steps + 1
            start = sigmas[0] / table.sigmas[-1]
            assert 0.5 < start < 1.05, f"{steps} steps begin at {start:.3g} of the model's highest level"

    def test_options_at_their_bounds_give_levels_or_are_refused(
        self, entry: Entry[SchedulerInfo], table: NoiseSchedule, given_options: dict[str, Any]
    ) -> None:
        for option in entry.info.options:
            for value in extreme_values(option):
                check_levels(entry, 10, table, {**given_options, option.name: value})

    def test_the_same_question_gets_the_same_answer(
        self, entry: Entry[SchedulerInfo], table: NoiseSchedule, given_options: dict[str, Any]
    ) -> None:
        if table.convention in conventions_of(entry.info.predictions):
            first, second = (entry.load()(20, table, dict(given_options)) for _ in range(2))
            assert first == second


def check_levels(
    entry: Entry[SchedulerInfo], steps: int, table: NoiseSchedule, options: dict[str, Any]
) -> None:
    """A schedule of that many steps is sound, or refused as bad input."""
    try:
        sigmas = entry.load()(steps, table, given := dict(options))
    except BadInput:
        return
    asked = f"{steps} steps, {options}"
    assert given == options, "the options were changed"
    assert len(sigmas) == steps + 1, asked
    assert all(isinstance(sigma, float) and math.isfinite(sigma) for sigma in sigmas), asked
    assert sigmas[-1] == 0, asked
    assert all(sigma > sigma_next for sigma, sigma_next in pairwise(sigmas)), f"not falling: {asked}"
    if table.convention == "flow":
        assert sigmas[0] <= 1, asked
