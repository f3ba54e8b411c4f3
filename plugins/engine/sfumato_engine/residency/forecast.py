"""The phases of a request walked through in thought: what lies where in each, and what each takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sfumato_engine.residency.decision import DoesNotFit, Key, PartState, decide, in_words, smallest


@dataclass(frozen=True)
class PlannedPhase:
    """A phase to come.

    Attributes:
        used: The parts that it computes with.
        working: Bytes that it needs beside weights.
    """

    name: str
    used: tuple[Key, ...]
    working: int


@dataclass(frozen=True)
class ForecastPhase:
    """A phase as it will be.

    Attributes:
        peak: Bytes.
        parts: As they lie then.
        plan: In words; empty where it does not fit.
    """

    name: str
    peak: int
    parts: tuple[PartState, ...]
    plan: str


def forecast(parts: Sequence[PartState], phases: Sequence[PlannedPhase], room: int) -> list[ForecastPhase]:
    """What each phase in turn will take; a phase that cannot fit is told with all that it would need."""
    states = list(parts)
    if phases:
        states = _settled(states, phases, room)
    told = []
    for phase in phases:
        try:
            decision = decide(states, phase.used, phase.working, room)
            plan = in_words(states, decision, phase.used)
        except DoesNotFit as short:
            decision, plan = smallest(states, phase.used, short.needed), ""
        states = [replace(state, resident=decision.budgets[state.key]) for state in states]
        told.append(ForecastPhase(phase.name, decision.peak, tuple(states), plan))
    return told


def _settled(states: list[PartState], phases: Sequence[PlannedPhase], room: int) -> list[PartState]:
    """All parts there from the beginning, if that leaves room for the work of every phase."""
    used = tuple({key for phase in phases for key in phase.used})
    try:
        decision = decide(states, used, max(phase.working for phase in phases), room)
    except DoesNotFit:
        return states
    if in_words(states, decision, used) != "whole":
        return states
    return [replace(state, resident=decision.budgets[state.key]) for state in states]
