"""Calling a plugin's code so that nothing it does stops the program: in its own thread, and with an end.

What cannot be helped is code that ends the process itself, such as `os._exit` or a crash in a C library.
"""

from __future__ import annotations

import contextlib
import contextvars
import locale
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from sfumato.errors import PluginError

Result = TypeVar("Result")

LONGEST_LINE = 500
"""Characters of an exception's text that are told: plugins raise whole files."""
SECONDS_TO_END = 0.05
"""How long a thread that was told to end is waited for, each of the three times."""


class TookTooLong(PluginError):
    """A plugin's code did not return in time; `stack` is where it hung."""

    def __init__(self, seconds: float, stack: str) -> None:
        super().__init__(
            f"It did not return within {seconds:g} seconds.",
            hint="If it is only slow, have more patience: sfumato settings set plugins.patience 60.",
        )
        self.stack = stack


class Abandoned(SystemExit):
    """Raised within a thread that nobody waits for any more; threads end by it without a word."""


def call_within(seconds: float, work: Callable[[], Result]) -> Result:
    """Call `work` in a thread and wait for it, answering Ctrl-C meanwhile.

    Code that hangs is left behind: an endless loop in Python is ended, a wait within C goes on in its thread
    and ends as soon as it comes back to Python. It does not keep the program from ending.

    Args:
        seconds: How long to wait. 0 calls `work` in this thread and waits for ever, as a debugger needs it.

    Raises:
        TookTooLong: it did not return in time.
        BaseException: whatever `work` raised; a `KeyboardInterrupt` of its own as `PluginError`, because only
            this thread is given those of the user.
    """
    if not seconds:
        return work()
    worker = _Worker(work)
    try:
        worker.start()
        stack = _stack_unless_done(worker, seconds)
    finally:
        _end(worker)
    if stack:
        raise TookTooLong(seconds, stack)
    if worker.results:
        return worker.results[0]
    (failure,) = worker.failures
    if isinstance(failure, KeyboardInterrupt):
        raise PluginError("It raised KeyboardInterrupt.") from failure
    raise failure


class _Worker(threading.Thread, Generic[Result]):
    """Calls `work` in the caller's context and keeps what comes of it.

    `done` is waited for rather than the thread: a join that Ctrl-C ends takes the thread for stopped.
    """

    def __init__(self, work: Callable[[], Result]) -> None:
        super().__init__(name="sfumato-plugin", daemon=True)
        self.results: list[Result] = []
        self.failures: list[BaseException] = []
        self.done = threading.Event()
        self._work = work
        self._context = contextvars.copy_context()

    def run(self) -> None:
        try:
            self.results.append(self._context.run(self._work))
        except BaseException as error:
            self.failures.append(error)
        self.done.set()


def _stack_unless_done(worker: _Worker[Any], seconds: float) -> str:
    """Wait for the thread; where it hangs when time is up, or nothing."""
    end = time.monotonic() + seconds
    while not worker.done.wait(max(0.0, min(end - time.monotonic(), 0.1))):
        if time.monotonic() >= end:  # it waits in pieces, as Windows does not answer Ctrl-C within one
            break
    frame = sys._current_frames().get(worker.ident or 0)
    if worker.done.is_set() or frame is None:
        return ""
    ours = (threading.__file__, __file__)
    calls = [call for call in traceback.extract_stack(frame) if call.filename not in ours]
    plain = [call for call in calls if not call.filename.startswith("<frozen importlib")]
    return "It hung here (most recent call last):\n" + "".join(traceback.format_list(plain))


def _end(worker: _Worker[Any]) -> None:
    """End a thread's Python code, `except Exception` and an `except:` or two on its way notwithstanding."""
    for _ in range(3):
        if worker.done.is_set():
            return
        import ctypes

        ident = ctypes.c_ulong(worker.ident or 0)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ident, ctypes.py_object(Abandoned))
        worker.done.wait(SECONDS_TO_END)


@contextlib.contextmanager
def process_kept_as_it_is(tell: Callable[[str], None]) -> Iterator[None]:
    """Put back what the code within changed for the whole process, and `tell` what that was."""
    streams = {name: getattr(sys, name) for name in ("stdin", "stdout", "stderr")}
    folder, language = _working_folder(), locale.setlocale(locale.LC_ALL)
    try:
        yield
    finally:
        for name, stream in streams.items():
            if getattr(sys, name, None) is not stream:
                setattr(sys, name, stream)
                tell(f"sys.{name}")
        if folder and _working_folder() != folder:
            os.chdir(folder)
            tell("the working directory")
        if locale.setlocale(locale.LC_ALL) != language:
            locale.setlocale(locale.LC_ALL, language)
            tell("the locale")


def _working_folder() -> str:
    try:
        return os.getcwd()
    except OSError:  # it was removed
        return ""


def in_one_line(error: BaseException) -> str:
    """'ValueError: no such colour', whatever the text is, and even when there is none to be had."""
    try:
        text = str(error)
    except Exception as second:
        text = f"(its text cannot be had: {type(second).__name__})"
    line = " ".join(f"{type(error).__name__}: {text[: 4 * LONGEST_LINE]}".split())
    return line if len(line) <= LONGEST_LINE else line[:LONGEST_LINE] + " ..."


def in_full(error: BaseException) -> str:
    """The traceback; or for code that hung, where it did."""
    if isinstance(error, TookTooLong):
        return error.stack
    try:
        text = "".join(traceback.format_exception(error))
    except Exception:  # traceback asks the exception for more than its text
        text = "".join([*traceback.format_tb(error.__traceback__), in_one_line(error)])
    half = 20 * LONGEST_LINE
    return text if len(text) <= 2 * half else f"{text[:half]}\n...\n{text[-half:]}"
