"""What one run of the command line shares: the global options, and the studio made from them."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from sfumato.cli import output

if TYPE_CHECKING:
    from sfumato.settings import Settings
    from sfumato.studio import Studio

SECONDS_MORE = 5.0
"""How much longer than a plugin that can be quarantined one is waited for that lets nothing else run."""


@dataclass
class Session:
    """The options given before the command, and the studio once a command needs it.

    Attributes:
        config: The settings file to use.
        overrides: Settings given for this run, by key.
        verbose: How much more to tell.
    """

    config: Path | None = None
    overrides: dict[str, str] = field(default_factory=dict)
    verbose: int = 0
    _studio: Studio | None = None

    def use(self, options: Mapping[str, Any]) -> None:
        """Take over the global options. Raises `BadInput` for a ``--set`` without a key and a value."""
        from sfumato.settings_sources import parse_overrides

        self.config = options.get("config")
        self.verbose = options.get("verbose") or 0
        self.overrides = parse_overrides(options.get("overrides") or [])

    def settings(self, *, lenient: bool = False) -> Settings:
        """The kernel's settings; plugins' sections come with the studio."""
        from sfumato.settings import Settings

        return Settings.load(file=self.config, overrides=self.overrides, lenient=lenient)

    def studio(self, *, lenient: bool = False) -> Studio:
        """The studio of this run.

        Args:
            lenient: Start although a setting is wrong; for commands that show and mend what is wrong.

        Raises:
            BadInput: a setting is wrong.
        """
        if self._studio is None:
            from sfumato.studio import Studio

            settings = self.settings(lenient=lenient)
            patience = settings.plugins.patience
            before = threading.enumerate()
            with output.only_data_on_stdout(), ended_when_stuck(patience and patience + SECONDS_MORE):
                self._studio = Studio(settings)
            left_running = [thread for thread in threading.enumerate() if thread not in before]
            if left_running:
                quiet: Any = StdoutWithout(left_running, sys.stdout)
                sys.stdout = quiet
        return self._studio


@contextlib.contextmanager
def ended_when_stuck(seconds: float) -> Iterator[None]:
    """Within this, C code that lets no Python run for `seconds` ends the program, and where is told.

    Nothing else could: this thread is held up too, and Ctrl-C with it. With 0 it may take for ever.
    """
    stderr = sys.__stderr__
    if not seconds or stderr is None:
        yield
        return
    import faulthandler

    done = threading.Event()

    def put_off() -> None:
        while not done.wait(1.0):
            faulthandler.dump_traceback_later(seconds, exit=True, file=stderr)

    faulthandler.dump_traceback_later(seconds, exit=True, file=stderr)
    thread = threading.Thread(target=put_off, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        faulthandler.cancel_dump_traceback_later()


class StdoutWithout:
    """Standard output, but what threads that a plugin left running print goes to stderr: it is no data.

    They run to the end of the program, so this stays in place as long.
    """

    def __init__(self, threads: list[threading.Thread], stream: TextIO) -> None:
        self._threads = threads
        self._stream = stream

    def write(self, text: str) -> int:
        stream = sys.stderr if threading.current_thread() in self._threads else self._stream
        return stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
