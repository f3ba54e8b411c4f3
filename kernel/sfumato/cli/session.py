"""What one run of the command line shares: the global options, and the studio made from them."""

from __future__ import annotations

import contextlib
import os
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

            before = threading.enumerate()
            with output.only_data_on_stdout(), programs_write_to_stderr():
                self._studio = Studio(self.settings(lenient=lenient))
            left_running = [thread for thread in threading.enumerate() if thread not in before]
            if left_running:
                quiet: Any = StdoutWithout(left_running, sys.stdout)
                sys.stdout = quiet
        return self._studio


@contextlib.contextmanager
def programs_write_to_stderr() -> Iterator[None]:
    """Within this, what programs that a plugin calls write to stdout goes to stderr."""
    try:
        stdout = os.dup(1)
    except OSError:  # it is closed
        yield
        return
    try:
        with contextlib.suppress(OSError):
            os.dup2(2, 1)
        yield
    finally:
        os.dup2(stdout, 1)
        os.close(stdout)


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
