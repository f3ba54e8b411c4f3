"""One piece of work at a time, and nobody waits for ever."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest

from sfumato import Studio
from sfumato.errors import Cancelled, SfumatoError
from sfumato.events import CancelToken
from sfumato.tasks import TaskContext

from .conftest import InstallPlugin

CALLING = """
    from sfumato.hookspecs import hookimpl

    SFUMATO_API = "1.0"

    def call(request, context):
        return request(context)

    @hookimpl
    def register_tasks(tasks):
        tasks.add("call", call, label="Call what is asked for")
"""
LONG = 10.0
"""Seconds after which a thread is taken to hang."""


@pytest.fixture
def studio(install_plugin: InstallPlugin) -> Studio:
    install_plugin("calling", CALLING)
    return Studio()


def in_a_thread(work: Callable[[], Any]) -> Future[Any]:
    """Like an executor's `submit`, but a hanging thread does not keep the tests from ending."""
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def test_work_is_done_one_at_a_time(studio: Studio) -> None:
    both = threading.Barrier(2)

    def meets_another(context: TaskContext) -> bool:
        try:
            both.wait(timeout=0.3)
        except threading.BrokenBarrierError:
            both.reset()
            return False
        return True

    runs = [in_a_thread(lambda: studio.run("call", meets_another)) for _ in range(2)]
    assert [run.result(LONG) for run in runs] == [False, False]


def test_work_started_from_within_the_studios_own_work_is_refused(studio: Studio) -> None:
    def nested(context: TaskContext) -> Any:
        return studio.run("call", lambda inner: "done")

    with pytest.raises(SfumatoError, match="already at work"):
        in_a_thread(lambda: studio.run("call", nested)).result(LONG)
    assert studio.run("call", lambda context: "done") == "done"


def test_a_request_that_waits_can_be_cancelled(studio: Studio) -> None:
    working, finish, cancel = threading.Event(), threading.Event(), CancelToken()

    def long_work(context: TaskContext) -> str:
        working.set()
        finish.wait(LONG)
        return "done"

    first = in_a_thread(lambda: studio.run("call", long_work))
    assert working.wait(LONG)
    waiting = in_a_thread(lambda: studio.run("call", long_work, cancel=cancel))
    cancel.cancel()
    with pytest.raises(Cancelled):
        waiting.result(LONG / 2)
    finish.set()
    assert first.result(LONG) == "done"


def test_work_that_fails_makes_room_for_the_next(studio: Studio) -> None:
    with pytest.raises(ZeroDivisionError):
        studio.run("call", lambda context: 1 / 0)
    assert in_a_thread(lambda: studio.run("call", lambda context: "done")).result(LONG) == "done"


def test_work_that_calls_exit_is_an_error_and_no_success(studio: Studio) -> None:
    with pytest.raises(SfumatoError, match="tried to end the program"):
        studio.run("call", lambda _: exit_program())
    assert studio.run("call", lambda _: "still here") == "still here"


def exit_program() -> None:
    raise SystemExit(0)
