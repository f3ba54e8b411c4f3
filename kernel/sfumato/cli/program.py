"""The `sfumato` program: the command line in a process of its own, tuned for a short life."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading

OBJECTS_BEFORE_COLLECTION = 500_000
"""Importing makes hundreds of thousands of objects that stay: Python's 700 would go through them again and
again."""
SECONDS_TO_END = 10.0
"""How long what plugins left to be done at the end may take."""


def run() -> int:
    """Run the command line of this process.

    Returns:
        The exit code, see `sfumato.cli.main`.
    """
    gc.set_threshold(OBJECTS_BEFORE_COLLECTION)
    # Pydantic would go through all that is installed for plugins of its own, and fail at one damaged on disk.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    _keep_stdout_for_data()
    from sfumato.cli.app import main

    code = main()
    _end_in_time(code)
    return code


def _keep_stdout_for_data() -> None:
    """Let ours alone write to stdout: what C libraries and other programs write there goes to stderr."""
    stdout = sys.stdout
    if stdout is None or sys.stderr is None:  # it was started without
        return
    data = os.dup(1)
    os.dup2(2, 1)
    sys.stdout = open(data, "w", encoding=stdout.encoding, errors=stdout.errors)  # noqa: SIM115 - to the end


def _end_in_time(code: int) -> None:
    """Prepare the end of the process, which plugins cannot put off: all is printed and nothing left to stop.

    Threads that hang are not waited for by Python, but those holding a stream's lock would make it abort.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # torch would tell of it
    sys.stdout = sys.stderr  # what plugins print at exit is no data
    if any(thread.name == "sfumato-plugin" for thread in threading.enumerate()):
        os._exit(code)
    timer = threading.Timer(SECONDS_TO_END, _end_now, (code,))
    timer.daemon = True
    timer.start()
    gc.freeze()  # or the end of the interpreter goes through every object of torch: 0.3 s for nothing


def _end_now(code: int) -> None:
    import faulthandler

    print("Something that a plugin left running does not end; the program ends without it.", file=sys.stderr)
    faulthandler.dump_traceback()
    os._exit(code)
