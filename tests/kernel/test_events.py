"""Progress reaches every listener; a broken one harms nobody."""

from __future__ import annotations

import pytest

from sfumato.errors import Cancelled
from sfumato.events import CancelToken, Event, EventBus, Warned


def test_a_failing_listener_does_not_keep_the_event_from_the_others() -> None:
    heard: list[Event] = []
    bus = EventBus()
    bus.subscribe(lambda event: 1 / 0)
    bus.subscribe(heard.append)
    bus.emit(Warned(message="careful"))
    assert heard == [Warned(message="careful")]


def test_a_listener_that_left_hears_nothing() -> None:
    heard: list[Event] = []
    bus = EventBus()
    bus.subscribe(heard.append)()
    bus.emit(Warned(message="careful"))
    assert heard == []


def test_a_cancelled_token_stops_the_work_at_the_next_check() -> None:
    token = CancelToken()
    token.check()
    token.cancel()
    with pytest.raises(Cancelled) as caught:
        token.check()
    assert caught.value.exit_code == 130
