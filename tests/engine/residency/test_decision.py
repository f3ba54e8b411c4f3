"""What lies on a device in a phase, decided from sizes: any set of parts in any room."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfumato_engine.residency.decision import DoesNotFit, PartState, decide, in_words, smallest
from sfumato_engine.residency.forecast import PlannedPhase, forecast

TEXT, DRAWING, AUTOENCODER, IDLE = (0, "t5_encoder"), (0, "transformer"), (0, "autoencoder"), (1, "unet")


def parts(**resident: int) -> list[PartState]:
    """A model of 10 + 40 + 5 bytes, and one of 30 kept for later; 4 in passing where it is streamed."""

    def state(key: tuple[int, str], total: int, turn: int) -> PartState:
        def passing(budget: int) -> int:
            return 0 if budget >= total else 4

        return PartState(key, "model", total, resident.get(key[1], 1), fixed=1, passing=passing, turn=turn)

    return [state(TEXT, 10, 0), state(AUTOENCODER, 5, 1), state(DRAWING, 40, 2), state(IDLE, 30, -9)]


def test_with_room_for_all_nothing_leaves() -> None:
    decision = decide(parts(unet=30, t5_encoder=10), [DRAWING], working=7, room=200)
    assert decision.budgets == {TEXT: 10, AUTOENCODER: 1, DRAWING: 40, IDLE: 30}
    assert decision.peak == 10 + 1 + 40 + 30 + 7


def test_models_kept_for_later_leave_before_parts_in_use() -> None:
    decision = decide(parts(unet=30, t5_encoder=10), [DRAWING], working=7, room=60)
    assert decision.budgets == {TEXT: 10, AUTOENCODER: 1, DRAWING: 40, IDLE: 1}


def test_text_encoders_leave_before_denoising_where_they_must() -> None:
    decision = decide(parts(unet=30, t5_encoder=10, autoencoder=5), [DRAWING], working=7, room=55)
    assert decision.budgets == {TEXT: 1, AUTOENCODER: 5, DRAWING: 40, IDLE: 1}


def test_what_does_not_fit_is_resident_in_part_and_streamed_for_the_rest() -> None:
    states = parts()
    decision = decide(states, [DRAWING], working=7, room=34)
    assert decision.budgets[DRAWING] == 34 - 7 - 4 - 3
    assert in_words(states, decision, [DRAWING]) == "transformer 50 % resident"


def test_with_room_for_little_more_than_the_work_all_is_streamed() -> None:
    states = parts()
    decision = decide(states, [DRAWING], working=7, room=15)
    assert decision.budgets[DRAWING] == 1
    assert in_words(states, decision, [DRAWING]) == "transformer streamed"


def test_work_that_is_more_than_the_room_does_not_fit() -> None:
    with pytest.raises(DoesNotFit) as short:
        decide(parts(), [DRAWING], working=70, room=60)
    assert (short.value.needed, short.value.room) == (78, 60)


@given(
    sizes=st.lists(
        st.tuples(st.integers(1, 10**6), st.integers(0, 100), st.booleans()), min_size=1, max_size=8
    ),
    working=st.integers(0, 10**6),
    room=st.integers(0, 4 * 10**6),
    used=st.sets(st.integers(0, 7)),
)
def test_a_decision_never_promises_more_than_the_room(
    sizes: list[tuple[int, int, bool]], working: int, room: int, used: set[int]
) -> None:
    states = []
    for number, (total, share, there) in enumerate(sizes):
        fixed = total * share // 1000

        def passing(budget: int, total: int = total) -> int:
            return 0 if budget >= total else total // 10

        resident = total if there else fixed
        states.append(PartState((0, str(number)), "m", total, resident, fixed, passing, turn=number % 3))
    keys = [state.key for number, state in enumerate(states) if number in used]
    least = sum(min(state.fixed, state.resident) for state in states) + working
    try:
        decision = decide(states, keys, working, room)
    except DoesNotFit:
        decision = None
    if decision is None:  # not for nothing: the least there is, and what weights take in passing
        assert least + max((state.total // 10 for state in states), default=0) > room
        return
    assert decision.peak <= room
    for state in states:
        assert state.fixed <= decision.budgets[state.key] <= max(state.total, state.resident)
        if state.key not in keys:
            assert decision.budgets[state.key] <= state.resident  # nothing comes that is not used


def test_a_forecast_walks_through_the_phases_as_they_will_be() -> None:
    phases = [
        PlannedPhase("encoding", (TEXT,), 2),
        PlannedPhase("sampling", (DRAWING,), 7),
        PlannedPhase("decoding", (AUTOENCODER,), 9),
    ]
    encoding, sampling, decoding = forecast(parts(), phases, room=45)
    assert [phase.plan for phase in (encoding, sampling, decoding)] == [
        "whole",
        "transformer 77 % resident",
        "whole",
    ]
    assert {part.key: part.resident for part in encoding.parts}[TEXT] == 10
    assert {part.key: part.resident for part in sampling.parts}[TEXT] == 1
    assert max(phase.peak for phase in (encoding, sampling, decoding)) <= 45


def test_a_forecast_tells_a_phase_that_cannot_fit_with_all_that_it_needs() -> None:
    (phase,) = forecast(parts(), [PlannedPhase("sampling", (DRAWING,), 70)], room=50)
    assert phase.plan == ""
    assert phase.peak == 78


def test_parts_that_cannot_be_streamed_are_there_as_a_whole_or_the_phase_does_not_fit() -> None:
    encoders = [PartState((0, name), "model", 30, 0, can_stream=False) for name in ("first", "second")]
    keys = [part.key for part in encoders]
    assert decide(encoders, keys, 5, 65).budgets == dict.fromkeys(keys, 30)
    with pytest.raises(DoesNotFit) as short:
        decide(encoders, keys, 5, 64)
    assert short.value.needed == 65
    tight = smallest(encoders, keys[:1], short.value.needed)
    assert tight.budgets == {keys[0]: 30, keys[1]: 0}
